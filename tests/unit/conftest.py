"""Property tests are judged by what they find, not by how busy the machine is: no deadline per example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("homefire", deadline=None)
settings.load_profile("homefire")
