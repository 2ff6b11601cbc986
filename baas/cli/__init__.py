"""The ``homefire`` command."""

from __future__ import annotations

import importlib
import sys

import typer

GROUPS = {
    "rules": "Check, test and explain security rules.",
    "users": "Manage accounts.",
    "keys": "Manage service-account keys.",
    "indexes": "List, pin, drop and explain indexes.",
    "data": "Export and import documents.",
}
"""Command groups, each a module of this package with an ``app``."""


def build(words: list[str]) -> typer.Typer:
    """The command tree. Only the group that the words name is imported: the others cost start-up time."""
    app = typer.Typer(
        name="homefire",
        help="Homefire: Firebase at home. A Firebase-style backend in one process.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    command = next((word for word in words if not word.startswith("-")), None)
    importlib.import_module("baas.cli.serve").register(app)
    importlib.import_module("baas.cli.maintenance").register(app)
    for name, summary in GROUPS.items():
        if command == name:
            group = importlib.import_module(f"baas.cli.{name}").app
            if name == "rules":
                importlib.import_module("baas.cli.rules_deploy").register(group)
        else:
            group = typer.Typer()
            group.callback()(lambda: None)
        app.add_typer(group, name=name, help=summary)
    return app


def main() -> None:
    """Entry point of the console script."""
    build(sys.argv[1:])()
