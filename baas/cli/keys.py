"""``homefire keys``: service-account keys, the keys that sign tokens, and the one that seals the database."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from baas.auth import providers, second_factor
from baas.auth.secret_box import drop_old_keys, rotate_key_file
from baas.auth.service import AuthService
from baas.auth.service_accounts import ROLES, create_key, delete_key, list_keys
from baas.cli.offline import server_address, with_auth
from baas.cli.serve import fail
from baas.settings import Settings

app = typer.Typer(help="Keys. The server of the data folder must be stopped.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Config = Annotated[Path | None, typer.Option(help="A settings file.")]
Project = Annotated[str | None, typer.Option(help="The project; by default the default one.")]


@app.command()
def create(
    output: Annotated[Path, typer.Argument(help="Where the JSON key is written.")],
    name: Annotated[str, typer.Option(help="Name of the service account.")] = "admin",
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "owner",
    url: Annotated[
        str | None, typer.Option(help="The server's address; by default as in the settings.")
    ] = None,
    project: Project = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Make a service-account key: a JSON file that the official Admin SDKs take as a credential."""
    if output.exists():
        fail(f"{output} exists; a key is never overwritten")

    async def work(service: AuthService, settings: Settings) -> dict[str, str]:
        return await create_key(
            service.context.database,
            project=project or settings.project,
            name=name,
            role=role,
            token_uri=f"{(url or server_address(settings)).rstrip('/')}/token",
            now_ms=int(time.time() * 1_000),
        )

    key = with_auth(data, config, work, make=True)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(key, indent=2) + "\n")
    typer.echo(f"{key['client_email']} {key['private_key_id']}")
    typer.echo(f"clients will ask for tokens at {key['token_uri']}", err=True)


@app.command("list")
def list_all(project: Project = None, data: Data = None, config: Config = None) -> None:
    """List the service-account keys: id, account, role."""

    async def work(service: AuthService, settings: Settings) -> list[str]:
        keys = await list_keys(service.context.database, project)
        return [f"{key.key_id} {key.client_email} {key.role}" for key in keys]

    for line in with_auth(data, config, work):
        typer.echo(line)


@app.command()
def delete(
    key_id: Annotated[str, typer.Argument(help="The key's id.")],
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete a service-account key; its access tokens end."""

    async def work(service: AuthService, settings: Settings) -> None:
        await delete_key(service.context.database, key_id)

    with_auth(data, config, work)


@app.command("rotate-signing")
def rotate_signing(
    revoke: Annotated[
        bool, typer.Option(help="End every ID token at once: the old key is known to others.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Sign tokens with a new key. Nobody is logged out; with --revoke, ID tokens must be refreshed."""

    async def work(service: AuthService, settings: Settings) -> str:
        return await service.context.keys.rotate(revoke=revoke)

    typer.echo(with_auth(data, config, work))


@app.command("rotate-secret")
def rotate_secret(data: Data = None, config: Config = None) -> None:
    """Seal the database's secrets with a new key.

    With HOMEFIRE_SECRET_KEY set, put the new key before the old one there first; afterwards drop the old one.
    """

    def prepare(settings: Settings) -> None:
        if settings.secret_key is None:
            rotate_key_file(settings.data)

    async def work(service: AuthService, settings: Settings) -> tuple[int, bool]:
        box = service.context.secrets
        count = await service.context.keys.reseal()
        count += await service.context.database.write(
            lambda tx: providers.reseal(tx, box) + second_factor.reseal(tx, box)
        )
        if settings.secret_key is None:
            drop_old_keys(settings.data)
        return count, settings.secret_key is None

    count, in_file = with_auth(data, config, work, prepare=prepare)
    typer.echo(f"{count} secrets sealed anew")
    if not in_file:
        typer.echo("The old key can be dropped from HOMEFIRE_SECRET_KEY now.", err=True)
