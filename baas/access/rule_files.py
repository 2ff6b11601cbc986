"""Rulesets from files: read at start, and in development again whenever a file changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import rules
from baas.access.releases import Release, Releases

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class RulesFileError(Exception):
    """A rules file that cannot be read or does not compile; the message shows where."""


class RuleFiles:
    """Keeps the default rulesets of a server as its files say. ``files``: service -> path."""

    def __init__(self, files: Mapping[str, Path], releases: Releases) -> None:
        self._files = dict(files)
        self._releases = releases
        self._seen: dict[str, tuple[int, int]] = {}

    def load(self) -> None:
        """Release what all the files say.

        Raises:
            RulesFileError: one cannot be read, does not compile or is of another service; earlier
                releases stay in force.
        """
        for service, path in self._files.items():
            self._seen[service] = _stamp(path)
            self._releases.release(None, service, Release(read_ruleset(path, service)))

    async def watch(self) -> None:
        """Release again whatever changes, until cancelled. A file that fails leaves the old rules on."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for service, path in self._files.items():
                self._look_at(service, path)

    def _look_at(self, service: str, path: Path) -> None:
        try:
            stamp = _stamp(path)
            if stamp == self._seen.get(service):
                return
            self._seen[service] = stamp
            self._releases.release(None, service, Release(read_ruleset(path, service)))
        except RulesFileError as error:
            log.error("rules not reloaded, the old ones stay in force: %s", error)
            return
        log.info("rules reloaded from %s", path)


def read_ruleset(path: Path, service: str) -> rules.Ruleset:
    """Compile a service's file.

    Raises:
        RulesFileError: it cannot be read, does not compile, or has no rules for the service.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesFileError(f"cannot read {path}: {error}") from error
    try:
        ruleset = rules.compile_rules(source, file_name=str(path))
    except rules.RulesCompileError as error:
        raise RulesFileError("\n".join(issue.render(source) for issue in error.issues)) from None
    if service not in ruleset.services:
        others = ", ".join(ruleset.services) or "no service"
        raise RulesFileError(f"{path} has rules for {others}, not for {service}")
    for issue in ruleset.issues:
        log.warning("%s:%d:%d: %s", path, issue.line, issue.column, issue.description)
    return ruleset


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise RulesFileError(f"cannot read {path}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size
