"""What people read of a method: one line, everything, and the page of all."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glocal.methods.catalogue import Method
from glocal.methods.claim import Check, Claim
from glocal.methods.states import STATES, Status, target_of

_SIGNS = {">": "greater than", "<": "less than", "=": "equal to"}
_INTRODUCTION = """\
# Methods

Written by `glocal methods table`; do not edit. Each row is a published method of glocal's
catalogue. What counts as working is a sentence, a trial measures it, and the state is computed from
the stored numbers:

- **holds**: the claim is met over all seeds, and the baseline against itself does not meet it
- **fails**: it was measured and is not met
- **unsound**: the baseline against itself meets the claim too, so it shows nothing
- **stale**: the sources have changed since it was measured
- **not run**: it has no result, because it has no trial yet or was not run

`glocal methods show NAME` shows the claim and what was measured; `glocal methods run NAME` measures
it again. [Adding a method](adding_a_method.md) says how to write a trial.
"""


def number(value: float | None) -> str:
    """A number in few digits; a dash where there is none."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def as_object(status: Status) -> dict[str, Any]:
    """A row for programs."""
    method, result = status.method, status.result
    row: dict[str, Any] = {
        "n": method.n,
        "name": method.name,
        "stage": method.stage,
        "tier": method.tier,
        "state": status.state,
        "source": method.source,
        "part": method.part,
        "trial": method.trial,
        "sentence": method.sentence,
        "measured": status.measured,
        "baseline": status.baseline,
        "seeds": [pair.seed for pair in result.pairs] if result else [],
    }
    if result is not None:
        row |= {"seconds": result.seconds, "error": result.error}
    return row


def mechanism(method: Method) -> str:
    """The docstring of the method's part, and of the class in the same file that it is a size of.

    It is read without importing the part, and empty where there is none.
    """
    module, _, attribute = target_of(method).partition(":")
    named = {
        node.name: node
        for node in _source(module).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    found, node = [], named.get(attribute)
    while node is not None:
        found.append(ast.get_docstring(node) or "")
        bases = node.bases if isinstance(node, ast.ClassDef) else []
        node = next((named[b.id] for b in bases if isinstance(b, ast.Name) and b.id in named), None)
    return "\n\n".join(text for text in found if text)


def experiment(method: Method) -> str:
    """The docstring of the method's trial: how it is measured and, where it fails, why.

    It is read without importing the trial, and empty where there is none.
    """
    if not method.trial:
        return ""
    return ast.get_docstring(_source(f"glocal.trials.{method.trial}")) or ""


def _source(module: str) -> ast.Module:
    """The tree of one of glocal's modules; an empty one for any other."""
    spec = find_spec(module) if module.startswith("glocal.") else None
    if spec is None or spec.origin is None:
        return ast.Module([], [])
    return ast.parse(Path(spec.origin).read_bytes())


def claim_text(claim: Claim) -> str:
    """The claim as a sentence."""
    if claim.comparison == "=":
        margin = f"to {claim.margin:g} of the baseline"
    else:
        margin = f"by more than {claim.margin:g} {claim.unit}"
    seeds = f"{claim.seeds} paired seed{'s' if claim.seeds > 1 else ''}"
    return (
        f"{claim.measured}, {_SIGNS[claim.comparison]} {claim.baseline}, {margin}; {seeds}; "
        f"in {claim.unit}"
    )


def details(status: Status) -> Iterator[str]:
    """Everything about a method, in lines."""
    method, result = status.method, status.result
    yield f"{method.name} (n {method.n}, stage {method.stage}, tier {method.tier}): {status.state}"
    yield f"  paper:     {method.source}"
    yield f"  to show:   {method.sentence}"
    if method.part:
        yield f"  part:      {method.part}"
    if not method.trial:
        yield "  no trial yet: docs/adding_a_method.md says how to add one"
    if result is not None:
        yield f"  claim:     {claim_text(result.claim)}"
        yield f"  measured:  {number(status.measured)} {result.claim.unit}"
        yield f"  baseline:  {number(status.baseline)} {result.claim.unit}"
        if result.pairs:
            word = "largest deviation" if result.claim.comparison == "=" else "lower bound"
            bound, control = result.claim.bound(result.pairs), result.control
            yield f"  {word}: {number(bound)}, margin {result.claim.margin:g}"
            if control:
                yield f"  the baseline against itself: {number(result.claim.bound(control))}"
            for check in result.pairs[0].checks:
                yield f"  {'also' if check.holds else 'FAILS'}: {check_text(check)}"
        for check in status.failed_checks[:3]:
            yield f"  failed:    {check_text(check)}"
        if result.error:
            yield f"  error:     {result.error}"
        versions = ", ".join(f"{name} {which}" for name, which in result.versions.items())
        yield f"  run by:    {result.command} ({result.seconds:g} s of the processor; {versions})"
    for about in (experiment(method), mechanism(method)):
        if about:
            yield ""
            yield from (f"  {line}".rstrip() for line in about.splitlines())


def check_text(check: Check) -> str:
    """A further number as a sentence."""
    sign = _SIGNS[check.comparison]
    return f"{check.what}: {number(check.measured)}, {sign} {number(check.limit)}"


def page(statuses: Sequence[Status]) -> str:
    """The page of all methods, in Markdown."""
    counts = {state: sum(each.state == state for each in statuses) for state in STATES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    lines = [_INTRODUCTION, f"Of {len(statuses)} methods: {told}.", ""]
    for stage in dict.fromkeys(each.method.stage for each in statuses):
        rows = [each for each in statuses if each.method.stage == stage]
        lines += [f"## {stage.capitalize()}", ""]
        lines += [
            "| n | name | tier | state | measured | baseline | unit | what has to be shown |",
            "| ---: | --- | --- | --- | ---: | ---: | --- | --- |",
        ]
        for each in rows:
            method, unit = each.method, each.result.claim.unit if each.result else ""
            lines.append(
                f"| {method.n} | `{method.name}` | {method.tier} | {each.state} "
                f"| {number(each.measured)} | {number(each.baseline)} | {unit} "
                f"| {method.sentence.replace('|', '/')} |"
            )
        lines.append("")
    return "\n".join(lines)
