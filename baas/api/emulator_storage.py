"""What Google's emulator suite offers test tools for storage. Development mode only.

Source: ``emulator-control`` "Storage control".
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

import rules
from baas.access.releases import STORAGE, Release, Releases
from baas.api.http import JSONResponse, parse_object, read_body
from baas.errors import InvalidArgument
from baas.storage.clearing import clear
from baas.storage.service import StorageService

MAX_BODY = 4 * 1024 * 1024


class StorageEmulatorControl:
    """The control calls."""

    def __init__(self, releases: Releases, service: StorageService) -> None:
        self._releases = releases
        self._service = service

    def routes(self) -> list[BaseRoute]:
        """The HTTP routes."""
        return [
            Route("/internal/setRules", self.set_rules, methods=["PUT"]),
            Route("/internal/reset", self.reset, methods=["POST"]),
        ]

    async def set_rules(self, request: Request) -> Response:
        """Make rules live: one file for all projects, or one for each ``resource``, a bucket."""
        body = parse_object(await read_body(request.receive, MAX_BODY))
        compiled = []
        for bucket, source in _files(body):
            project = None if bucket is None else await self._service.buckets.project_of(bucket)
            if bucket is not None and project is None:
                raise InvalidArgument(f"The bucket {bucket} does not exist.")
            try:
                compiled.append((project, rules.compile_rules(source)))
            except rules.RulesCompileError as error:
                issues = "; ".join(
                    f"L{issue.line}:{issue.column} {issue.description}" for issue in error.issues
                )
                message = f"There was an error updating rules: {issues}"
                return JSONResponse({"message": message}, status_code=400)
        for project, ruleset in compiled:
            self._releases.release(project, STORAGE, Release(ruleset, rules.Coverage()))
        return JSONResponse({"message": "Rules updated successfully"})

    async def reset(self, request: Request) -> Response:
        """Delete every object of every project."""
        await clear(self._service, None)
        return JSONResponse({})


def _files(body: dict[str, Any]) -> list[tuple[str | None, str]]:
    """(bucket, source) of ``{"rules": {"files": [{"name", "content", "resource"?}]}}``.

    Raises:
        InvalidArgument: it is not of that shape.
    """
    given = body.get("rules")
    files = given.get("files") if isinstance(given, dict) else None
    if not isinstance(files, list) or not files:
        raise InvalidArgument('The body must be {"rules": {"files": [{"name", "content"}]}}.')
    found: list[tuple[str | None, str]] = []
    for file in files:
        content = file.get("content") if isinstance(file, dict) else None
        bucket = file.get("resource") if isinstance(file, dict) else None
        if not isinstance(content, str) or not isinstance(bucket, str | None):
            raise InvalidArgument("Each rules file has 'content', and may have a 'resource'.")
        found.append((bucket, content))
    if len(found) > 1 and any(bucket is None for bucket, _ in found):
        raise InvalidArgument("Of several rules files each names its 'resource', a bucket.")
    return found
