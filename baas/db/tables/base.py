"""The one metadata that all tables join."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
