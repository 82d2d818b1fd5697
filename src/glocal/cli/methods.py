"""`glocal methods`: the catalogue of published methods, and what was measured of each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from glocal.cli.options import FilePath, json_option
from glocal.cli.output import check_folder, print_json
from glocal.errors import GlocalError, MissingExtraError, install_command
from glocal.methods import STATES, Method, catalogue, method_named, status_of
from glocal.methods.catalogue import TIERS
from glocal.methods.describe import as_object, details, number, page

_STAGES = sorted({method.stage for method in catalogue()})
_STAGE = click.option("--stage", type=click.Choice(_STAGES), help="Only methods of this stage.")
_TIER = click.option("--tier", type=click.Choice(TIERS), help="Only methods of this tier.")


@click.group(invoke_without_command=True)
@_STAGE
@_TIER
@click.option("--state", type=click.Choice(STATES), help="Only methods in this state.")
@json_option
@click.pass_context
def methods(
    context: click.Context, stage: str | None, tier: str | None, state: str | None, as_json: bool
) -> None:
    """List published methods, and what was measured of each.

    The state of a method is computed from stored results: it holds, fails, is unsound (the
    baseline against itself meets the claim too), stale (the sources have changed) or was not run.
    """
    if context.invoked_subcommand:
        if stage or tier or state or as_json:
            raise click.UsageError(
                f"put options behind {context.invoked_subcommand}: --stage, --tier, --state and "
                "--json before it are for listing"
            )
        return
    found = [status_of(method) for method in _selected(stage, tier)]
    found = [each for each in found if state in (None, each.state)]
    if as_json:
        print_json([as_object(each) for each in found], indent=2)
        return
    width = max((len(each.method.name) for each in found), default=0)
    for each in found:
        method = each.method
        click.echo(
            f"{method.n:>3}  {method.name:<{width}}  {method.stage:<9} {method.tier}  {each.state}"
        )
    counts = [(state, sum(each.state == state for each in found)) for state in STATES]
    told = ", ".join(f"{count} {state}" for state, count in counts if count)
    click.echo(f"{len(found)} methods: {told}" if found else "no method is like that")


@methods.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the paper of a method, how it works, what is claimed and what was measured."""
    status = status_of(method_named(name))
    if as_json:
        found = as_object(status)
        if status.result is not None:
            from dataclasses import asdict

            found["result"] = asdict(status.result)
        print_json(found, indent=2)
        return
    for line in details(status):
        click.echo(line)


@methods.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_STAGE
@_TIER
@click.option("--stale", is_flag=True, help="Those whose sources have changed since their result.")
@click.option("--changed", is_flag=True, help="Those whose sources differ from the branch main.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    names: tuple[str, ...],
    stage: str | None,
    tier: str | None,
    stale: bool,
    changed: bool,
    as_json: bool,
) -> None:
    """Measure methods and store the results: the named ones, or all that have a trial.

    What each seed gave is stored at once, so that a run that was stopped continues where it was.
    """
    if names and (stage or tier or stale or changed):
        raise click.UsageError("give either names, or --stage, --tier, --stale and --changed")
    # The same everywhere: what int8 gives depends on the processor's instructions.
    os.environ.setdefault("GLOCAL_PRECISION", "float")
    chosen: Iterable[Method]
    if names:
        chosen = [method_named(name) for name in names]
    else:
        chosen = [method for method in _selected(stage, tier) if method.trial]
        if stale:
            chosen = [method for method in chosen if status_of(method).state == "stale"]
        if changed:
            from glocal.methods.changes import changed as those_changed

            chosen = those_changed(chosen)
    unfinished = False
    for method in chosen:
        try:
            row = _measured(method)
        except GlocalError as error:
            if names:
                raise
            unfinished = True
            row = {"name": method.name, "state": status_of(method).state, "error": str(error)}
            row |= {"measured": None, "baseline": None, "seeds": []}
        click.echo(json.dumps(row) if as_json else _line(row))
    if not as_json and not chosen:
        click.echo("nothing to run")
    context.exit(1 if unfinished else 0)


@methods.command()
@click.option(
    "-o", "--output", type=FilePath(), default=Path("docs/methods.md"),
    show_default=True, help="File to write.",
)  # fmt: skip
def table(output: Path) -> None:
    """Write the page of all methods with their states and numbers."""
    check_folder(output)
    output.write_text(page([status_of(method) for method in catalogue()]), encoding="utf-8")
    click.echo(f"{output} is written")


def _selected(stage: str | None, tier: str | None) -> list[Method]:
    return [
        method
        for method in catalogue()
        if stage in (None, method.stage) and tier in (None, method.tier)
    ]


def _measured(method: Method) -> dict[str, Any]:
    try:
        from glocal.trials.runner import run as run_trial
    except ModuleNotFoundError as error:  # the runner seeds torch
        command = install_command("glocal[learn,demo]")
        raise MissingExtraError(f"trials need {error.name}: {command}") from error
    if sys.stderr.isatty():
        print(f"{method.name} ...", file=sys.stderr)
    run_trial(method)
    status = status_of(method)
    found = as_object(status)
    wanted = ("name", "state", "measured", "baseline", "seeds", "seconds", "error")
    row = {key: found.get(key) for key in wanted}
    if status.result is not None:
        row |= {"unit": status.result.claim.unit}
    row["failed"] = [check.what for check in status.failed_checks]
    return row


def _line(row: dict[str, Any]) -> str:
    told = (
        f"{row['name']}: {row['state']}; measured {number(row['measured'])}, "
        f"baseline {number(row['baseline'])} {row.get('unit', '')}"
    ).rstrip()
    failed = f"; failed: {', '.join(sorted(set(row['failed'])))}" if row.get("failed") else ""
    error = f"; {row['error']}" if row.get("error") else ""
    return told + failed + error
