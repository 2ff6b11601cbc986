"""Tables of the access room: rulesets that were deployed, and which of them is in force."""

from __future__ import annotations

import sqlalchemy as sa

from baas.db.tables.base import metadata

rulesets = sa.Table(
    "rulesets",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("file_name", sa.String, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # microseconds since the epoch
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Index("rulesets_by_project", "project", "create_time"),
)

# Every release that was ever made, in order; the last one of a name is in force. A release without a
# ruleset takes the name back: the server's default decides again.
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    # cloud.firestore, cloud.firestore/<database>, firebase.storage, firebase.storage/<bucket>
    sa.Column("name", sa.String, nullable=False),
    sa.Column("ruleset_id", sa.String, sa.ForeignKey("rulesets.id"), nullable=True),
    sa.Column("release_time", sa.BigInteger, nullable=False),
    sa.Index("releases_by_name", "project", "name", "id"),
)
