"""The Firebase Rules API v1 for administrators: rulesets, releases, tests.

Deploying is two calls, as ``firebase deploy`` makes them: create a ruleset (it must compile), then release
it under a name. Source: ``rules`` §8 "Rules management" and "projects:test". One call is our own:
``POST /v1/projects/{project}/releases/{name}:rollback`` goes back to the ruleset before the present one.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

import rules
from baas.access.release_store import ReleaseStore, StoredRelease, StoredRuleset
from baas.api.administrators import Authenticate, Project, dependencies
from baas.db.commit_clock import wall_clock_micros
from baas.errors import InvalidArgument, PermissionDenied
from baas.wire.timestamps import format_timestamp
from rules.json_values import SuiteError
from rules.testing import run_suite


class SourceFile(BaseModel):
    """One file of a source."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field("firestore.rules", max_length=1_000)
    content: str


class Source(BaseModel):
    """A source: exactly one file."""

    model_config = ConfigDict(extra="ignore")

    files: list[SourceFile] = Field(min_length=1, max_length=1)


class NewRuleset(BaseModel):
    """What ``rulesets.create`` takes."""

    model_config = ConfigDict(extra="ignore")

    source: Source


class NewRelease(BaseModel):
    """What ``releases.create`` takes: both names in full."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(max_length=1_000)
    rulesetName: str = Field(max_length=1_000)


class ReleasePatch(BaseModel):
    """What ``releases.patch`` takes."""

    model_config = ConfigDict(extra="ignore")

    release: NewRelease


class RulesTest(BaseModel):
    """What ``projects.test`` takes. Without a suite it is a compile check."""

    model_config = ConfigDict(extra="ignore")

    source: Source
    testSuite: dict[str, Any] | None = None


def router(store: ReleaseStore, authenticate: Authenticate) -> APIRouter:
    """The routes. Reading needs a service account; changing one that may write."""
    routes = APIRouter(prefix="/v1/projects/{project}", tags=["rules"])
    may_read, may_write = dependencies(authenticate)

    @routes.post("/rulesets", dependencies=may_write)
    async def create_ruleset(project: Project, body: NewRuleset) -> dict[str, Any]:
        """Keep a source that compiles."""
        file = body.source.files[0]
        try:
            return _ruleset(await store.create(project, file.content, file.name))
        except rules.RulesCompileError as error:
            raise InvalidArgument(f"Error compiling rules:\n{error.render()}") from None

    @routes.get("/rulesets", dependencies=may_read)
    async def list_rulesets(project: Project) -> dict[str, Any]:
        """Every kept ruleset, newest first, without the sources."""
        kept = await store.rulesets(project)
        return {"rulesets": [_ruleset(each, source=False) for each in kept]}

    @routes.get("/rulesets/{ruleset_id}", dependencies=may_read)
    async def get_ruleset(project: Project, ruleset_id: str) -> dict[str, Any]:
        """One ruleset with its source."""
        return _ruleset(await store.get(project, ruleset_id))

    @routes.delete("/rulesets/{ruleset_id}", dependencies=may_write)
    async def delete_ruleset(project: Project, ruleset_id: str) -> dict[str, Any]:
        """Forget a ruleset that is not in force."""
        await store.delete(project, ruleset_id)
        return {}

    @routes.get("/releases", dependencies=may_read)
    async def list_releases(project: Project) -> dict[str, Any]:
        """What is in force."""
        return {"releases": [_release(each) for each in await store.releases(project)]}

    @routes.post("/releases", dependencies=may_write)
    async def create_release(project: Project, body: NewRelease) -> dict[str, Any]:
        """Put a ruleset in force."""
        name = _below(body.name, project, "releases")
        return _release(await store.release(project, name, _ruleset_id(body, project)))

    @routes.patch("/releases/{name:path}", dependencies=may_write)
    async def patch_release(project: Project, name: str, body: ReleasePatch) -> dict[str, Any]:
        """Put another ruleset in force under a name."""
        return _release(await store.release(project, name, _ruleset_id(body.release, project)))

    @routes.post("/releases/{name:path}:rollback", dependencies=may_write)
    async def roll_back(project: Project, name: str) -> dict[str, Any]:
        """Go back to the ruleset before the present one."""
        return _release(await store.rollback(project, name))

    @routes.get("/releases/{name:path}:history", dependencies=may_read)
    async def history(project: Project, name: str) -> dict[str, Any]:
        """Every release of a name, newest first."""
        return {"releases": [_release(each) for each in await store.history(project, name)]}

    @routes.delete("/releases/{name:path}", dependencies=may_write)
    async def delete_release(project: Project, name: str) -> dict[str, Any]:
        """Take a release back: the server's default decides again."""
        await store.withdraw(project, name)
        return {}

    return routes


def testing_router(authenticate: Authenticate) -> APIRouter:
    """``projects.test``: compile a source and run test cases on it; nothing is kept."""
    routes = APIRouter(tags=["rules"])

    @routes.post("/v1/projects/{project}:test")
    async def test(
        project: Project,
        body: RulesTest,
        authorization: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        """Issues of the source, and how each case went."""
        principal = await authenticate(authorization, project)
        if not principal.bypasses_rules:
            raise PermissionDenied("This call is for service accounts only.")
        file = body.source.files[0]
        try:
            ruleset = rules.compile_rules(file.content, file_name=file.name)
        except rules.RulesCompileError as error:
            return {"issues": [_issue(issue) for issue in error.issues]}
        answer: dict[str, Any] = {}
        if ruleset.issues:
            answer["issues"] = [_issue(issue) for issue in ruleset.issues]
        if body.testSuite is not None:
            now = rules.Timestamp.from_micros(wall_clock_micros())
            try:
                results = run_suite(ruleset, body.testSuite, now)
            except SuiteError as error:
                raise InvalidArgument(str(error)) from None
            answer["testResults"] = [result.to_json(file.name) for result in results]
        return answer

    return routes


def _below(name: str, project: str, kind: str) -> str:
    """The last part of ``projects/P/<kind>/…``."""
    prefix = f"projects/{project}/{kind}/"
    if not name.startswith(prefix):
        raise InvalidArgument(f"The name must begin with {prefix}.")
    return name.removeprefix(prefix)


def _ruleset_id(release: NewRelease, project: str) -> str:
    return _below(release.rulesetName, project, "rulesets")


def _ruleset(stored: StoredRuleset, *, source: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": f"projects/{stored.project}/rulesets/{stored.id}",
        "createTime": format_timestamp(stored.create_time),
    }
    if source:
        body["source"] = {"files": [{"name": stored.file_name, "content": stored.source}]}
    return body


def _release(stored: StoredRelease) -> dict[str, Any]:
    body = {
        "name": f"projects/{stored.project}/releases/{stored.name}",
        "updateTime": format_timestamp(stored.release_time),
    }
    if stored.ruleset_id is not None:
        body["rulesetName"] = f"projects/{stored.project}/rulesets/{stored.ruleset_id}"
    return body


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
