"""``homefire version | migrate | health``."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

import baas
from baas.cli.serve import fail, settings_from
from baas.data_folder import DataFolder, FolderError


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def version() -> None:
        """Print the version."""
        typer.echo(f"homefire {baas.__version__}")

    @app.command()
    def migrate(
        data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
        config: Annotated[Path | None, typer.Option(help="A settings file.")] = None,
    ) -> None:
        """Bring the database to this version's schema (``serve`` does it by itself for SQLite)."""
        from baas.db import schema

        settings = settings_from({"data": data}, [], config)
        try:
            with DataFolder(settings.data) as folder:
                changed = schema.migrate_sqlite(folder.database)
        except FolderError as error:
            fail(str(error))
        typer.echo("migrated" if changed else "nothing to do", err=True)

    @app.command()
    def health(
        url: Annotated[str, typer.Argument(help="The server's address.")] = "http://127.0.0.1:8080",
    ) -> None:
        """Ask a running server whether it is ready; exit 1 if not."""
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=5) as answer:
                typer.echo(answer.read().decode())
        except (urllib.error.URLError, OSError) as error:
            typer.echo(f"not ready: {error}", err=True)
            raise typer.Exit(1) from None
