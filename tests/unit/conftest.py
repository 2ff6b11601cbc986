"""Property tests are judged by what they find, not by how busy the machine is: no deadline per example.

``HYPOTHESIS_PROFILE=thorough`` looks longer.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("homefire", deadline=None, max_examples=60)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "homefire"))
