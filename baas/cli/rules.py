"""``homefire rules``: everything about rules that needs files only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from rules import Coverage, RulesCompileError, Ruleset, Timestamp, compile_rules
from rules.json_values import SuiteError
from rules.testing import TestResult, judge_case, run_suite

app = typer.Typer(help="Security rules.", no_args_is_help=True)

RulesFile = Annotated[
    Path,
    typer.Argument(metavar="RULES", help="A firestore.rules, storage.rules or rules JSON file."),
]
SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="Test cases as JSON.")]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"Cannot read {path}: {error}", err=True)
        raise typer.Exit(2) from error


def _compile(path: Path) -> Ruleset:
    """The ruleset of a file; its errors are printed and end the command with status 1."""
    try:
        return compile_rules(_read(path), file_name=str(path))
    except RulesCompileError as error:
        typer.echo(error.render(), err=True)
        raise typer.Exit(1) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        typer.echo(f"{path} is not JSON: {error}", err=True)
        raise typer.Exit(2) from error


def _now() -> Timestamp:
    return Timestamp.from_datetime(datetime.now(UTC))


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rules files.")],
) -> None:
    """Compile rules and print what is wrong or doubtful. Exit status 1 if a file has an error."""
    failed = False
    for path in files:
        try:
            ruleset = compile_rules(_read(path), file_name=str(path))
        except RulesCompileError as error:
            typer.echo(error.render())
            failed = True
            continue
        for issue in ruleset.issues:
            typer.echo(issue.render(ruleset.source))
        if not ruleset.services:
            typer.echo(f"{path}: WARNING: No service has rules here: everything is denied.")
        warnings = len(ruleset.issues) + (not ruleset.services)
        typer.echo(f"{path}: ok, {warnings} warning(s)")
    if failed:
        raise typer.Exit(1)


def _run(rules: Path, suite: Path, coverage: Coverage | None) -> tuple[Ruleset, list[TestResult]]:
    ruleset = _compile(rules)
    try:
        return ruleset, run_suite(ruleset, _json(suite), _now(), coverage)
    except SuiteError as error:
        typer.echo(f"{suite}: {error}", err=True)
        raise typer.Exit(2) from error


@app.command("test")
def run_tests(
    rules: RulesFile,
    suite: SuiteFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print the Rules API's answer.")] = False,
) -> None:
    """Run test cases in the shape of Firebase's projects:test. Exit status 1 if one fails."""
    _, results = _run(rules, suite, None)
    if as_json:
        answer = {"testResults": [result.to_json(str(rules)) for result in results]}
        typer.echo(json.dumps(answer, indent=2))
    else:
        for result in results:
            typer.echo(f"{'ok  ' if result.passed else 'FAIL'} {result.name}")
            if not result.passed:
                for message in result.debug_messages(str(rules)):
                    typer.echo(f"     {message}")
        passed = sum(result.passed for result in results)
        typer.echo(f"{passed} of {len(results)} passed")
    if not all(result.passed for result in results):
        raise typer.Exit(1)


@app.command()
def coverage(
    rules: RulesFile,
    suite: SuiteFile,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to this file instead of printing.")
    ] = None,
) -> None:
    """Run a suite and show how often each line's expressions were evaluated."""
    collected = Coverage()
    ruleset, results = _run(rules, suite, collected)
    if html is not None:
        html.write_text(ruleset.coverage_html(collected), encoding="utf-8")
    else:
        typer.echo(ruleset.coverage_text(collected))
    ran, total = ruleset.coverage_summary(collected)
    typer.echo(f"{ran} of {total} expressions evaluated by {len(results)} case(s)")


@app.command()
def explain(
    rules: RulesFile,
    request: Annotated[
        Path,
        typer.Argument(
            metavar="REQUEST_JSON", help="One test case; its expectation is not needed."
        ),
    ],
) -> None:
    """Say how a request is judged: each statement tried, and the expression that decided it."""
    ruleset = _compile(rules)
    try:
        case = _json(request)
        if not isinstance(case, dict):
            raise SuiteError("A request file holds one object.")
        decision = judge_case(ruleset, case, _now())
    except SuiteError as error:
        typer.echo(f"{request}: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo("ALLOW" if decision.allowed else "DENY")
    if decision.problem is not None:
        typer.echo(f"  {decision.problem}")
    elif not decision.reasons:
        typer.echo("  No matching allow statements")
    for reason in decision.reasons:
        typer.echo(
            f"  {rules}:{reason.line}:{reason.column} for '{reason.method}': {reason.outcome}"
        )
        if reason.expression:
            typer.echo(
                f"    {reason.expression_line}:{reason.expression_column} "
                f"{reason.expression} -> {reason.value}"
            )
