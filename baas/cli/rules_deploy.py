"""``homefire rules deploy | list | rollback``: the rules that a running server has in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baas.cli.remote import DEFAULT_URL, Key, ProjectOption, Remote, Url, fail

Service = Annotated[
    str,
    typer.Option(
        "--service",
        help="cloud.firestore[/DATABASE] or firebase.storage[/BUCKET].",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def deploy(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A rules file.")],
        service: Service = "cloud.firestore",
        project: ProjectOption = None,
        url: Url = DEFAULT_URL,
        key: Key = None,
    ) -> None:
        """Put rules in force on a running server. Rules that do not compile change nothing."""
        try:
            source = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fail(f"cannot read {file}: {error}")
        remote = Remote(url, key, project)
        base = f"/v1/projects/{remote.project}"
        files = [{"name": file.name, "content": source}]
        ruleset = remote.call("POST", f"{base}/rulesets", {"source": {"files": files}})
        release = {
            "name": f"projects/{remote.project}/releases/{service}",
            "rulesetName": ruleset["name"],
        }
        remote.call("POST", f"{base}/releases", release)
        typer.echo(f"{service} of {remote.project} is {ruleset['name']} now")

    @app.command("list")
    def list_releases(
        service: Service = "cloud.firestore",
        project: ProjectOption = None,
        url: Url = DEFAULT_URL,
        key: Key = None,
    ) -> None:
        """Every release of a service, newest first; the first one is in force."""
        remote = Remote(url, key, project)
        path = f"/v1/projects/{remote.project}/releases/{service}:history"
        for release in remote.call("GET", path)["releases"]:
            typer.echo(f"{release['updateTime']}  {release.get('rulesetName', '(withdrawn)')}")

    @app.command()
    def rollback(
        service: Service = "cloud.firestore",
        project: ProjectOption = None,
        url: Url = DEFAULT_URL,
        key: Key = None,
    ) -> None:
        """Go back to the ruleset before the one in force."""
        remote = Remote(url, key, project)
        path = f"/v1/projects/{remote.project}/releases/{service}:rollback"
        release = remote.call("POST", path)
        typer.echo(f"{service} of {remote.project} is {release['rulesetName']} again")
