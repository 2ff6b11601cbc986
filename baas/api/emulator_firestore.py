"""What Google's emulator suite offers test tools for documents, and its hub. Development mode only.

Source: ``emulator-control`` "Firestore control" and "Hub"; ``rules`` §8. One call is our own:
``POST /emulator/v1/projects/{project}:reset`` empties a project wholly (documents, accounts, codes,
objects, rules).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

import rules
from baas.access.releases import FIRESTORE, Release, Releases
from baas.api.http import JSONResponse, parse_object, read_body
from baas.errors import InvalidArgument, NotFound
from baas.model.paths import DatabaseId

Clear = Callable[[DatabaseId], Awaitable[None]]
Reset = Callable[[str], Awaitable[None]]

MAX_BODY = 4 * 1024 * 1024


class EmulatorControl:
    """The control calls. ``clear`` empties one database, ``reset`` a whole project."""

    def __init__(self, releases: Releases, clear: Clear, reset: Reset) -> None:
        self._releases = releases
        self._clear = clear
        self._reset = reset

    def routes(self) -> list[Route]:
        """The HTTP routes."""
        project = "/emulator/v1/projects/{project}"
        return [
            Route(f"{project}:securityRules", self.load_rules, methods=["PUT"]),
            Route(f"{project}:ruleCoverage", self.coverage, methods=["GET"]),
            Route(f"{project}:ruleCoverage.html", self.coverage_page, methods=["GET"]),
            Route(f"{project}:reset", self.reset, methods=["POST"]),
            Route(
                f"{project}/databases/{{database}}/documents",
                self.clear_documents,
                methods=["DELETE"],
            ),
            Route("/", self.ready, methods=["GET"]),
            Route("/emulators", self.hub, methods=["GET"]),
            Route("/functions/{action}BackgroundTriggers", self.triggers, methods=["PUT"]),
        ]

    async def load_rules(self, request: Request) -> Response:
        """Make a project's rules live, or say with line and column why they are not."""
        body = parse_object(await read_body(request.receive, MAX_BODY))
        source, file_name = rules_source(body)
        try:
            ruleset = rules.compile_rules(source, file_name=file_name)
        except rules.RulesCompileError as error:
            if body.get("ignore_errors") is True:
                return JSONResponse({"issues": [_issue(issue) for issue in error.issues]})
            found = "\n".join(
                f"L{issue.line}:{issue.column} {issue.description}" for issue in error.issues
            )
            raise InvalidArgument(f"Error compiling rules:\n{found}") from None
        self._releases.release(
            request.path_params["project"], FIRESTORE, Release(ruleset, rules.Coverage())
        )
        return JSONResponse({"issues": [_issue(issue) for issue in ruleset.issues]})

    async def coverage(self, request: Request) -> Response:
        """What each expression of the live rules came to, and how often."""
        release, counted = self._covered(request)
        return JSONResponse(release.ruleset.coverage_report(counted))

    async def coverage_page(self, request: Request) -> Response:
        """The same for people."""
        release, counted = self._covered(request)
        return HTMLResponse(release.ruleset.coverage_html(counted))

    def _covered(self, request: Request) -> tuple[Release, rules.Coverage]:
        release = self._releases.live(request.path_params["project"], FIRESTORE, "(default)")
        if release is None or release.coverage is None:
            raise NotFound("No rules with coverage are loaded; load some with :securityRules.")
        return release, release.coverage

    async def clear_documents(self, request: Request) -> Response:
        """Drop every document of a database; listeners see them go."""
        params = request.path_params
        await self._clear(DatabaseId.of(params["project"], params["database"]))
        return JSONResponse({})

    async def reset(self, request: Request) -> Response:
        """Empty a project wholly."""
        await self._reset(request.path_params["project"])
        return JSONResponse({})

    async def ready(self, request: Request) -> Response:
        """What tools that wait for an emulator ask for."""
        return PlainTextResponse("Ok\n")

    async def hub(self, request: Request) -> Response:
        """Where each service is: all on this very port."""
        host, port = request.url.hostname, request.url.port or 80
        return JSONResponse(
            {
                name: {"name": name, "host": host, "port": port, "listen": []}
                for name in ("hub", "firestore", "auth", "storage")
            }
        )

    async def triggers(self, request: Request) -> Response:
        """There are no function triggers to switch; the answer is the hub's."""
        action = request.path_params["action"]
        if action not in ("enable", "disable"):
            raise NotFound("There is no such call.")
        return JSONResponse({"enabled": action == "enable"})


def rules_source(body: dict[str, Any]) -> tuple[str, str]:
    """Text and name of the one source file of ``{"rules": {"files": [{"name", "content"}]}}``.

    Raises:
        InvalidArgument: there is none, or more than one.
    """
    given = body.get("rules")
    files = given.get("files") if isinstance(given, dict) else None
    if not isinstance(files, list) or len(files) != 1 or not isinstance(files[0], dict):
        raise InvalidArgument('The body must be {"rules": {"files": [{"content": …}]}}, one file.')
    content, name = files[0].get("content"), files[0].get("name")
    if not isinstance(content, str):
        raise InvalidArgument("rules.files[0].content must be a string.")
    if not isinstance(name, str | None):
        raise InvalidArgument("rules.files[0].name must be a string.")
    return content, name or "firestore.rules"


def _issue(issue: rules.Issue) -> dict[str, Any]:
    return {
        "severity": issue.severity,
        "description": issue.description,
        "sourcePosition": {
            "fileName": issue.file_name,
            "line": issue.line,
            "column": issue.column,
            "currentOffset": issue.offset,
            "endOffset": issue.end_offset,
        },
    }
