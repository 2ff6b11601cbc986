"""Rulesets that are deployed: kept in the database with every release ever made, so that any can come back.

Source: ``rules`` §8 "Rules management" (Firebase Rules API v1).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

import rules
from baas.access.releases import Release, Releases, service_of
from baas.db.commit_clock import wall_clock_micros
from baas.db.tables import access as tables
from baas.db.unit import Database, Tx
from baas.errors import FailedPrecondition, InvalidArgument, NotFound
from baas.model.values import Timestamp

log = logging.getLogger(__name__)

MAX_RULESETS = 2_500
"""Rulesets of one project that are kept; beyond, the oldest that no release names are dropped."""


@dataclass(frozen=True, slots=True)
class StoredRuleset:
    """A deployed source. ``id`` is unique on the server."""

    id: str
    project: str
    file_name: str
    source: str
    create_time: Timestamp


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """Which ruleset a name stood for from a time on; ``ruleset_id`` ``None``: taken back."""

    project: str
    name: str
    ruleset_id: str | None
    release_time: Timestamp


class ReleaseStore:
    """Deploys, lists and rolls back; what is in force is told to :class:`Releases`."""

    def __init__(
        self,
        database: Database,
        releases: Releases,
        *,
        now: Callable[[], int] = wall_clock_micros,
    ) -> None:
        self._database = database
        self._releases = releases
        self._now = now

    async def load(self) -> None:
        """Put in force what was in force when the server stopped.

        Raises:
            RulesCompileError: a stored source does not compile with this version any more.
        """
        for release, source in await self._database.read(_all_in_force):
            ruleset = rules.compile_rules(source.source, file_name=source.file_name)
            self._releases.release(release.project, release.name, Release(ruleset))
            log.info(
                "%s of project %s: deployed rules are in force, before those of a file",
                release.name,
                release.project,
            )

    async def create(self, project: str, source: str, file_name: str) -> StoredRuleset:
        """Keep a source that compiles. It is not in force before it is released.

        Raises:
            RulesCompileError: it does not compile; nothing is kept.
        """
        rules.compile_rules(source, file_name=file_name)
        stored = StoredRuleset(
            secrets.token_hex(16), project, file_name, source, Timestamp(self._now())
        )

        def unit(tx: Tx) -> None:
            tx.core.execute(
                sa.insert(tables.rulesets).values(
                    id=stored.id,
                    project=project,
                    file_name=file_name,
                    source=source,
                    create_time=stored.create_time.micros,
                )
            )
            _drop_oldest(tx, project)

        await self._database.write(unit)
        return stored

    async def get(self, project: str, ruleset_id: str) -> StoredRuleset:
        """A kept ruleset.

        Raises:
            NotFound: there is none of this id.
        """
        return await self._database.read(lambda tx: _ruleset(tx, project, ruleset_id))

    async def rulesets(self, project: str) -> list[StoredRuleset]:
        """All kept rulesets of a project, newest first."""
        table = tables.rulesets
        query = (
            sa.select(table).where(table.c.project == project).order_by(table.c.create_time.desc())
        )
        rows = await self._database.read(lambda tx: tx.core.execute(query).all())
        return [_stored_ruleset(row) for row in rows]

    async def delete(self, project: str, ruleset_id: str) -> None:
        """Forget a ruleset.

        Raises:
            NotFound: there is none of this id.
            FailedPrecondition: a release names it.
        """

        def unit(tx: Tx) -> None:
            _ruleset(tx, project, ruleset_id)
            if any(release.ruleset_id == ruleset_id for release in _in_force(tx, project)):
                raise FailedPrecondition("The ruleset is in force; release another one first.")
            named = tables.releases.c.ruleset_id == ruleset_id
            tx.core.execute(sa.delete(tables.releases).where(named))
            tx.core.execute(sa.delete(tables.rulesets).where(tables.rulesets.c.id == ruleset_id))

        await self._database.write(unit)

    async def release(self, project: str, name: str, ruleset_id: str) -> StoredRelease:
        """Put a kept ruleset in force under a name.

        Raises:
            InvalidArgument: no release can have this name.
            NotFound: there is no such ruleset.
        """
        if service_of(name) is None:
            raise InvalidArgument(
                "A release is named cloud.firestore[/database] or firebase.storage[/bucket], "
                f"not {name[:100]!r}."
            )
        stored = await self.get(project, ruleset_id)
        ruleset = rules.compile_rules(stored.source, file_name=stored.file_name)
        return await self._write_release(project, name, ruleset_id, Release(ruleset))

    async def withdraw(self, project: str, name: str) -> StoredRelease:
        """Take a release back: the server's default decides again.

        Raises:
            NotFound: there is none of this name.
        """
        await self._current(project, name)
        return await self._write_release(project, name, None, None)

    async def rollback(self, project: str, name: str) -> StoredRelease:
        """Put the ruleset in force that was before the present one.

        Raises:
            FailedPrecondition: there was none before.
        """
        history = await self.history(project, name)
        present = history[0].ruleset_id if history else None
        for release in history[1:]:
            if release.ruleset_id is not None and release.ruleset_id != present:
                return await self.release(project, name, release.ruleset_id)
        raise FailedPrecondition(f"{name} has no earlier ruleset to go back to.")

    async def releases(self, project: str) -> list[StoredRelease]:
        """What a project has in force, by name."""
        return await self._database.read(lambda tx: _in_force(tx, project))

    async def history(self, project: str, name: str) -> list[StoredRelease]:
        """Every release of a name, newest first."""
        table = tables.releases
        query = (
            sa.select(table)
            .where(table.c.project == project, table.c.name == name)
            .order_by(table.c.id.desc())
        )
        rows = await self._database.read(lambda tx: tx.core.execute(query).all())
        return [_stored_release(row) for row in rows]

    async def _current(self, project: str, name: str) -> StoredRelease:
        for release in await self.releases(project):
            if release.name == name:
                return release
        raise NotFound(f"There is no release {name[:100]!r}.")

    async def _write_release(
        self, project: str, name: str, ruleset_id: str | None, release: Release | None
    ) -> StoredRelease:
        stored = StoredRelease(project, name, ruleset_id, Timestamp(self._now()))

        def put_in_force() -> None:
            if release is None:
                self._releases.withdraw(project, name)
            else:
                self._releases.release(project, name, release)

        def unit(tx: Tx) -> None:
            if ruleset_id is not None:
                _ruleset(tx, project, ruleset_id)  # it may have been deleted meanwhile
            tx.core.execute(
                sa.insert(tables.releases).values(
                    project=project,
                    name=name,
                    ruleset_id=ruleset_id,
                    release_time=stored.release_time.micros,
                )
            )
            tx.on_flush(put_in_force)

        await self._database.write(unit)
        return stored


def _ruleset(tx: Tx, project: str, ruleset_id: str) -> StoredRuleset:
    table = tables.rulesets
    query = sa.select(table).where(table.c.id == ruleset_id, table.c.project == project)
    row = tx.core.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no ruleset {ruleset_id[:100]!r}.")
    return _stored_ruleset(row)


def _in_force(tx: Tx, project: str | None = None) -> list[StoredRelease]:
    table = tables.releases
    newest = sa.select(sa.func.max(table.c.id)).group_by(table.c.project, table.c.name)
    query = sa.select(table).where(table.c.id.in_(newest), table.c.ruleset_id.is_not(None))
    if project is not None:
        query = query.where(table.c.project == project)
    return [_stored_release(row) for row in tx.core.execute(query.order_by(table.c.name)).all()]


def _all_in_force(tx: Tx) -> list[tuple[StoredRelease, StoredRuleset]]:
    return [
        (release, _ruleset(tx, release.project, str(release.ruleset_id)))
        for release in _in_force(tx)
    ]


def _drop_oldest(tx: Tx, project: str) -> None:
    table = tables.rulesets
    named = sa.select(tables.releases.c.ruleset_id).where(tables.releases.c.ruleset_id.is_not(None))
    keep = (
        sa.select(table.c.id)
        .where(table.c.project == project)
        .order_by(table.c.create_time.desc())
        .limit(MAX_RULESETS)
    )
    tx.core.execute(
        sa.delete(table).where(
            table.c.project == project, table.c.id.not_in(keep), table.c.id.not_in(named)
        )
    )


def _stored_ruleset(row: Sequence[Any]) -> StoredRuleset:
    return StoredRuleset(row[0], row[1], row[2], row[3], Timestamp(row[4]))


def _stored_release(row: Sequence[Any]) -> StoredRelease:
    return StoredRelease(row[1], row[2], row[3], Timestamp(row[4]))
