"""`glocal evaluate`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np

from glocal.cli.compatibility import compatibility
from glocal.cli.options import FilePath, json_option, limit_options, model_options
from glocal.cli.output import check_folder, print_json, say
from glocal.cli.report_sheet import Evaluated, write_report_sheet
from glocal.cli.vectors import Encoded, VectorCache, encode_samples
from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, load_encoder
from glocal.encoders.model_files import file_sha256
from glocal.errors import EvaluationError, GlocalError
from glocal.evaluate.datasets import (
    Evaluation,
    read_copies,
    read_labelled,
    read_landmarks,
    read_places,
    read_revisited,
)
from glocal.gallery.ahead import worker_count
from glocal.images import Limits, has_image_suffix

_data = click.argument("data", type=FilePath())
_distractors = click.option(
    "--distractors",
    multiple=True,
    type=FilePath(),
    metavar="FOLDER",
    help="Add these photos to the gallery as distractors, which are never a correct result; may be "
    "given more than once.",
)


def _evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every protocol has; `_evaluate` takes their values."""
    for option in (
        limit_options,
        click.option(
            "--cache",
            type=FilePath(file_okay=False),
            metavar="DIR",
            help="Store vectors in this folder and reuse those that it has.",
        ),
        click.option(
            "--html",
            type=FilePath(dir_okay=False),
            metavar="FILE",
            help="Write a contact sheet of the worst and best queries.",
        ),
        json_option,
        model_options,
    ):
        command = option(command)
    return command


@click.group(subcommand_metavar="PROTOCOL DATA")
def evaluate() -> None:
    """Evaluate a model by published protocols.

    Photos are ranked by their vectors alone, with an exact search. Tables show per cent, JSON has
    fractions. glocal evaluate PROTOCOL --help shows how DATA has to be laid out.
    """


@evaluate.command()
@_data
@click.option(
    "--queries",
    type=FilePath(),
    metavar="DATA",
    help="Search DATA with these labelled photos, instead of with each of its own.",
)
@_distractors
@_evaluation_options
def labelled(data: Path, queries: Path | None, distractors: tuple[Path, ...], **how: Any) -> None:
    """Labelled photos: recall@k, mAP, R-precision, MAP@R.

    DATA is a folder with a folder of photos for each label, or a CSV file with the columns path
    (relative to the file) and label. The label "distractor" marks photos that are never a correct
    result.
    """
    evaluation = read_labelled(data, has_image_suffix, queries=queries, distractors=distractors)
    _evaluate("labelled", data, [evaluation], **how)


@evaluate.command()
@_data
@_distractors
@_evaluation_options
def revisited(data: Path, distractors: tuple[Path, ...], **how: Any) -> None:
    """Revisited Oxford and Paris: easy, medium and hard mAP and mP@k.

    DATA is a folder with the ground truth, gnd_*.pkl or gnd_*.json, and the photos as
    jpg/NAME.jpg; or the ground truth file itself. Queries are cropped to their boxes.
    """
    evaluation = read_revisited(data, has_image_suffix, distractors=distractors)
    _evaluate("revisited", data, [evaluation], **how)


@evaluate.command()
@_data
@_evaluation_options
def landmarks(data: Path, **how: Any) -> None:
    """Google Landmarks v2: retrieval mAP@100 and recognition GAP.

    DATA is a folder with test/ and, for retrieval, retrieval_solution*.csv and index/; for
    recognition, recognition_solution*.csv, train/ and train.csv. In recognition the five nearest
    training photos vote for their landmarks, weighted by similarity.
    """
    _evaluate("landmarks", data, read_landmarks(data, has_image_suffix), **how)


@evaluate.command()
@_data
@_distractors
@_evaluation_options
def copies(data: Path, distractors: tuple[Path, ...], **how: Any) -> None:
    """Copy detection as in DISC21: μAP and recall at 90 % precision.

    DATA is a folder with queries/, references/ and ground_truth.csv (query_id,reference_id). Each
    query predicts its ten nearest references, with their similarity as the score.
    """
    evaluation = read_copies(data, has_image_suffix, distractors=distractors)
    _evaluate("copies", data, [evaluation], **how)


@evaluate.command()
@_data
@_evaluation_options
def places(data: Path, **how: Any) -> None:
    """Place recognition: recall@k within 25 m.

    DATA is a folder with queries/ and database/, in which photos are named
    @EASTING@NORTHING@...@.jpg (UTM), or with queries.csv and database.csv
    (path,latitude,longitude). Queries with no database photo within 25 m are not counted.
    """
    _evaluate("places", data, [read_places(data, has_image_suffix)], **how)


evaluate.add_command(compatibility)


def _evaluate(
    protocol: str,
    data: Path,
    evaluations: Sequence[Evaluation],
    *,
    model: str | None,
    model_sha256: str | None,
    as_json: bool,
    html: Path | None,
    cache: Path | None,
    max_bytes: int,
    max_pixels: int,
) -> None:
    """Encode the photos, compute the figures and print them."""
    started = time.monotonic()
    if html is not None:
        check_folder(html)
    limits = Limits(max_bytes=max_bytes, max_pixels=max_pixels)
    encoder = load_encoder(model or DEFAULT_MODEL, sha256=model_sha256, sessions=worker_count())
    sha256 = file_sha256(encoder.path)
    sides = [
        side for evaluation in evaluations for side in (evaluation.queries, evaluation.gallery)
    ]
    try:
        encoded = encode_samples(
            chain.from_iterable(sides),
            encoder,
            limits=limits,
            cache=None if cache is None else VectorCache(cache, file_sha256(encoder.encodes)),
            show=not as_json,
        )
    except KeyboardInterrupt:
        if cache is not None:
            raise
        raise GlocalError(
            "stopped, and no vector was stored; with --cache DIR the next run continues from there"
        ) from None
    evaluated = [_report(evaluation, encoded) for evaluation in evaluations]
    report = {
        "protocol": protocol,
        "data": data,
        "model": {
            "name": encoder.card.name,
            "version": encoder.card.version,
            "dim": encoder.dim,
            "sha256": sha256,
        },
        "figures": {
            row: {column: _number(value) for column, value in columns.items()}
            for one in evaluated
            for row, columns in one.report.figures.items()
        },
        "counts": {name: n for one in evaluated for name, n in one.report.counts.items()},
        "skipped": encoded.failed,
        "cached": encoded.cached,
        "seconds": round(time.monotonic() - started, 3),
    }
    if as_json:
        print_json(report)
    else:
        _show(report, encoder, encoded)
    if html is not None:
        _write_sheet(html, evaluated, f"glocal evaluate {protocol} {data}", report, limits)
        say(f"wrote {html}", err=True)


def _report(evaluation: Evaluation, encoded: Encoded) -> Evaluated:
    sides = {"query": evaluation.queries, "gallery": evaluation.gallery}
    vectors = {name: encoded.of(samples) for name, samples in sides.items()}
    for name, rows in vectors.items():
        if np.isnan(rows[:, 0]).all():
            path = sides[name][0].path
            reason = next(failure.reason for failure in encoded.failed if failure.path == path)
            raise EvaluationError(
                f"none of the {len(rows)} {name} photos could be read; {path}: {reason}"
            )
    report = evaluation.evaluate(vectors["query"], vectors["gallery"])
    return Evaluated(evaluation, vectors["query"], vectors["gallery"], report)


def _show(report: dict[str, Any], encoder: OnnxEncoder, encoded: Encoded) -> None:
    for line in _table(report["figures"]):
        say(line)
    say(", ".join(f"{name}: {n}" for name, n in report["counts"].items()))
    read = len(encoded.vectors) - len(encoded.failed) - encoded.cached
    kept = f", {encoded.cached} from the cache" if encoded.cached else ""
    say(
        f"{encoder.card.name} version {encoder.card.version}: {read} photos encoded{kept}, "
        f"{len(encoded.failed)} skipped in {report['seconds']:.1f} s"
    )
    for failure in encoded.failed:
        say(f"  skipped {failure.path}: {failure.reason}", err=True)


def _table(figures: dict[str, dict[str, float | None]]) -> list[str]:
    """One line for each row, in per cent, with a dash where there was nothing to evaluate."""
    columns = list(next(iter(figures.values())))
    width = max(len(row) for row in figures)
    widths = [max(len(column), 6) for column in columns]
    lines = [" " * width + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for row, values in figures.items():
        shown = ["–" if x is None else f"{100 * x:.2f}" for x in values.values()]
        cells = "".join(f"  {text:>{w}}" for text, w in zip(shown, widths, strict=True))
        lines.append(f"{row:<{width}}{cells}")
    return lines


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _write_sheet(
    target: Path, evaluated: list[Evaluated], title: str, report: dict[str, Any], limits: Limits
) -> None:
    summary = "; ".join(
        f"{row}: "
        + ", ".join(
            f"{name} {'–' if x is None else format(100 * x, '.2f')}" for name, x in columns.items()
        )
        for row, columns in report["figures"].items()
    )
    model = report["model"]
    try:
        write_report_sheet(
            target,
            evaluated,
            title=title,
            summary=f"{model['name']} version {model['version']}. {summary}",
            limits=limits,
        )
    except OSError as error:
        raise GlocalError(
            f"the contact sheet {target} cannot be written: {error.strerror}"
        ) from error
