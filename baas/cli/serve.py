"""``homefire serve``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from baas import settings as all_settings
from baas.data_folder import FolderError
from baas.settings import Settings, SettingsError


def _epilog() -> str:
    """Every setting, for ``--help``."""
    lines = ["Settings (HOMEFIRE_NAME, homefire.toml, or --set name=value):"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else f" (default {field.default})"
        lines.append(f"{name}{default}: {field.description}")
    return "\n\n".join(lines)


def settings_from(
    flags: dict[str, object], assignments: list[str], config: Path | None
) -> Settings:
    """The settings of this command; a bad one ends it with status 2 and its name."""
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            fail(f"--set takes name=value, not {name!r}")
        flags[name] = value
    try:
        return all_settings.load(flags, os.environ, config)
    except SettingsError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """End the command with a message on standard error."""
    typer.echo(f"homefire: {message}", err=True)
    raise typer.Exit(2)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=_epilog())
    def serve(
        host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
        port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
        data: Annotated[Path | None, typer.Option(help="Folder for everything kept.")] = None,
        rules: Annotated[Path | None, typer.Option(help="Rules for documents.")] = None,
        storage_rules: Annotated[Path | None, typer.Option(help="Rules for storage.")] = None,
        project: Annotated[str | None, typer.Option(help="The default project.")] = None,
        dev: Annotated[bool | None, typer.Option("--dev", help="Development mode.")] = None,
        config: Annotated[Path | None, typer.Option(help="A settings file.")] = None,
        assignment: Annotated[
            list[str] | None, typer.Option("--set", help="Any setting: name=value.")
        ] = None,
    ) -> None:
        """Serve: one process, one port."""
        flags: dict[str, object] = {
            "host": host,
            "port": port,
            "data": data,
            "rules": rules,
            "storage_rules": storage_rules,
            "project": project,
            "dev": dev,
        }
        settings = settings_from(flags, assignment or [], config)
        from baas import logs, serving

        logs.configure(settings.log_level, settings.log_format)
        try:
            serving.run(settings)
        except (FolderError, SettingsError, OSError) as error:
            fail(str(error))
        sys.stdout.flush()
