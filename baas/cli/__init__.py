"""The ``homefire`` command."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Annotated

import typer

import baas

GROUPS = {
    "rules": "Check, test, explain and deploy security rules.",
    "users": "Manage accounts.",
    "keys": "Manage service-account keys and secrets.",
    "indexes": "List, pin, drop and explain indexes.",
}
"""Command groups: each a module of this package with an ``app``."""

COMMANDS = {
    "export": ("transfer", "Write all documents into a file."),
    "import": ("transfer", "Write all documents of a file into the database."),
    "doctor": ("doctor", "Check that everything that is kept agrees with itself."),
}
"""Single commands: each in a module of this package with a ``register``."""


def build(words: list[str]) -> typer.Typer:
    """The command tree. Only what the words name is imported: the rest costs start-up time."""
    app = typer.Typer(
        name="homefire",
        help="Homefire: Firebase at home. A Firebase-style backend in one process.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    command = next((word for word in words if not word.startswith("-")), None)
    importlib.import_module("baas.cli.serve").register(app)
    importlib.import_module("baas.cli.maintenance").register(app)
    for name, summary in GROUPS.items():
        app.add_typer(_group(name) if command == name else _named(), name=name, help=summary)
    named = COMMANDS.get(command or "")
    if named is not None:
        importlib.import_module(f"baas.cli.{named[0]}").register(app)
    for name, (module, summary) in COMMANDS.items():
        if named is None or module != named[0]:
            app.command(name, help=summary)(lambda: None)
    return app


def _group(name: str) -> typer.Typer:
    group: typer.Typer = importlib.import_module(f"baas.cli.{name}").app
    if name == "rules":
        importlib.import_module("baas.cli.rules_deploy").register(group)
    return group


def _named() -> typer.Typer:
    """A group that is only listed."""
    group = typer.Typer()
    group.callback()(lambda: None)
    return group


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    """Homefire: Firebase at home. A Firebase-style backend in one process."""
    if version:
        typer.echo(f"homefire {baas.__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the console script."""
    words = sys.argv[1:]
    if "serve" in words[:1]:
        # A fifth of start-up is spent collecting what will stay; `baas.serving` turns it on again.
        gc.disable()
    build(words)()
