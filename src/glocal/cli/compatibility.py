"""`glocal evaluate compatibility`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from glocal.cli.options import FilePath, json_option, limit_options, listed
from glocal.cli.output import print_json, say
from glocal.cli.vectors import VectorCache, encode_samples
from glocal.encoders import load_encoder
from glocal.encoders.model_files import file_sha256
from glocal.encoders.spaces import space_of
from glocal.errors import EvaluationError
from glocal.evaluate import (
    average_accuracy,
    average_compatibility,
    evaluate_cross,
    update_gain,
)
from glocal.evaluate.datasets import Sample, read_labelled
from glocal.evaluate.datasets.labelled import LabelledEvaluation
from glocal.evaluate.datasets.listing import images_below, require_folder
from glocal.gallery.ahead import worker_count
from glocal.images import Limits, has_image_suffix
from glocal.registry import names
from glocal.upgrade import Bridge, load_bridge, make_bridge

Vectors = NDArray[np.float32]
METRICS = ("recall@1", "mAP")


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A model's vectors of all photos; rows of nan for those that could not be read."""

    name: str
    space: str
    vectors: dict[Sample, Vectors]
    skipped: int

    def of(self, samples: Sequence[Sample]) -> Vectors:
        """The vectors ``(n, d)`` of these samples."""
        return np.stack([self.vectors[sample] for sample in samples])


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="OLD [MODEL...] NEW")
@click.argument("data", type=FilePath())
@click.option(
    "--queries",
    type=FilePath(),
    metavar="DATA",
    help="Search DATA with these labelled photos, instead of with each of its own.",
)
@click.option(
    "--bridge",
    metavar="NAME",
    help="Bring queries of NEW to the space of OLD: a file that was fitted for these two models, "
    "or the name of a bridge, which is then fitted to --anchors.",
)
@click.option(
    "--anchors",
    type=FilePath(),
    metavar="FOLDER",
    help="Fit the bridge to the photos below this folder; none of them may be evaluated.",
)
@click.option(
    "--cache",
    type=FilePath(file_okay=False),
    metavar="DIR",
    help="Store vectors in this folder and reuse those that it has.",
)
@json_option
@limit_options
def compatibility(
    models: tuple[str, ...],
    data: Path,
    queries: Path | None,
    bridge: str | None,
    anchors: Path | None,
    cache: Path | None,
    as_json: bool,
    max_bytes: int,
    max_pixels: int,
) -> None:
    """Whether a new model finds what an older one has indexed.

    Each model searches the gallery of each older one, and its own. Models are named from the oldest
    to the newest; DATA is laid out as for the protocol "labelled". AC is the share of pairs in
    which the newer model finds more in the older gallery than the older model does; AA is the mean
    of all tests; the update gain says how much of the way from OLD to NEW is gained without
    indexing again.
    """
    if len(models) < 2:
        raise click.UsageError("name at least two models, from the oldest to the newest, then DATA")
    _check_bridge(bridge, anchors, models)
    evaluation = read_labelled(data, has_image_suffix, queries=queries)
    fitted_to = [] if anchors is None else _anchors(anchors, evaluation)
    limits = Limits(max_bytes=max_bytes, max_pixels=max_pixels)
    samples = [*evaluation.queries, *evaluation.gallery, *fitted_to]
    encoded = [_encoded(model, samples, limits, cache, show=not as_json) for model in models]
    built = None if bridge is None else _bridge(bridge, encoded[0], encoded[-1], fitted_to)
    matrices = _matrices(evaluation, encoded, built)
    report = {
        "protocol": "compatibility",
        "data": data,
        "models": [each.name for each in encoded],
        "bridge": built and built.name,
        "anchors": len(fitted_to),
        "figures": {name: _figures(matrix) for name, matrix in matrices.items()},
        "skipped": max(each.skipped for each in encoded),
    }
    if as_json:
        print_json(report)
    else:
        _show(report, matrices)


def _check_bridge(bridge: str | None, anchors: Path | None, models: Sequence[str]) -> None:
    if bridge is None:
        if anchors is not None:
            raise click.UsageError("--anchors are what a bridge is fitted to; add --bridge NAME")
        return
    if len(models) != 2:
        raise click.UsageError(f"a bridge is between two models, not {len(models)}; name two")
    if Path(bridge).is_file():
        if anchors is not None:
            raise click.UsageError(f"{bridge} is fitted already; leave --anchors out")
        return
    if bridge not in names("bridge", without="both-models"):
        raise click.UsageError(
            f"{bridge} is neither a file nor a bridge; choose from "
            f"{listed('bridge', without='both-models')}"
        )
    if anchors is None:
        raise click.UsageError(f"the bridge {bridge} has to be fitted; add --anchors FOLDER")


def _anchors(anchors: Path, evaluation: LabelledEvaluation) -> list[Sample]:
    folder = require_folder(anchors, "photos to fit the bridge to")
    found = [Sample(path) for path in images_below(folder, has_image_suffix)]
    evaluated = {sample.path.resolve() for sample in (*evaluation.queries, *evaluation.gallery)}
    shared = next((sample for sample in found if sample.path.resolve() in evaluated), None)
    if shared is not None:
        raise EvaluationError(
            f"{shared.path} is an anchor and is evaluated, so the bridge would have seen the "
            "answer; keep the sets apart"
        )
    return found


def _encoded(
    model: str, samples: Sequence[Sample], limits: Limits, cache: Path | None, *, show: bool
) -> Encoded:
    encoder = load_encoder(model, sessions=worker_count())
    sha256 = file_sha256(encoder.path)
    found = encode_samples(
        samples,
        encoder,
        limits=limits,
        cache=None if cache is None else VectorCache(cache, file_sha256(encoder.encodes)),
        show=show,
    )
    vectors = {sample: found.vectors[row] for sample, row in found.row_of.items()}
    name = f"{encoder.card.name} version {encoder.card.version}"
    return Encoded(name, space_of(encoder.card, sha256), vectors, len(found.failed))


def _bridge(named: str, old: Encoded, new: Encoded, anchors: Sequence[Sample]) -> Bridge:
    if Path(named).is_file():
        bridge, card = load_bridge(named)
        if (card.old_space, card.new_space) != (old.space, new.space):
            raise EvaluationError(
                f"the bridge {named} leads from {card.new_space} to {card.old_space}, the models "
                f"are {new.space} and {old.space}; use the models that it was fitted for"
            )
        return bridge
    rows, others = old.of(anchors), new.of(anchors)
    read = ~(np.isnan(rows[:, 0]) | np.isnan(others[:, 0]))
    return make_bridge(named).fit(rows[read], others[read])


def _matrices(
    evaluation: LabelledEvaluation, encoded: Sequence[Encoded], bridge: Bridge | None
) -> dict[str, NDArray[np.float64]]:
    """Each metric of queries by the row's model in the gallery of the column's."""
    sides = [(each.of(evaluation.queries), each.of(evaluation.gallery)) for each in encoded]
    asks, answers = (
        ~np.isnan(np.stack([rows[:, 0] for rows in side])).any(axis=0)
        for side in zip(*sides, strict=True)
    )
    if not asks.any() or not answers.any():
        raise EvaluationError("none of the photos could be read by all models")
    labels = np.asarray([*evaluation.gallery_labels, *_own_labels(evaluation)])[answers]
    asked = np.asarray(evaluation.query_labels)[asks]
    count = len(encoded)
    matrices = {name: np.full((count, count), np.nan) for name in METRICS}
    for newer, older in ((i, j) for i in range(count) for j in range(i + 1)):
        queries, gallery = sides[newer][0][asks], sides[older][1][answers]
        if newer != older and bridge is not None:
            queries, gallery = bridge.queries(queries), bridge.gallery(gallery)
        if queries.shape[1] != gallery.shape[1]:
            raise EvaluationError(
                f"{encoded[newer].name} has vectors of {queries.shape[1]} numbers and "
                f"{encoded[older].name} of {gallery.shape[1]}; add --bridge to compare them"
            )
        found = evaluate_cross(
            queries, asked, gallery, labels, same_images=evaluation.leave_one_out
        )
        matrices["recall@1"][newer, older] = found.recall_at_1
        matrices["mAP"][newer, older] = found.mean_ap
    return matrices


def _own_labels(evaluation: LabelledEvaluation) -> list[str]:
    """A label of its own for each distractor, so that it is never a right answer."""
    distractors = len(evaluation.gallery) - len(evaluation.gallery_labels)
    return [f"\0distractor {number}" for number in range(distractors)]


def _figures(matrix: NDArray[np.float64]) -> dict[str, Any]:
    gain = update_gain(matrix[0, 0], matrix[-1, 0], matrix[-1, -1])
    return {
        "matrix": [[None if math.isnan(cell) else cell for cell in row] for row in matrix.tolist()],
        "average compatibility": average_compatibility(matrix),
        "average accuracy": average_accuracy(matrix),
        "update gain": None if math.isnan(gain) else gain,
    }


def _show(report: dict[str, Any], matrices: dict[str, NDArray[np.float64]]) -> None:
    for number, name in enumerate(report["models"], start=1):
        say(f"{number}: {name}")
    if report["bridge"]:
        fitted = f", fitted to {report['anchors']} photos" if report["anchors"] else ""
        say(f"bridge: {report['bridge']}{fitted}")
    for metric, matrix in matrices.items():
        columns = "".join(f"  {f'in {number}':>6}" for number in range(1, len(matrix) + 1))
        say(f"{metric:<10}{columns}")
        for number, row in enumerate(matrix, start=1):
            cells = "".join(f"  {'' if math.isnan(x) else f'{100 * x:.2f}':>6}" for x in row)
            say(f"  query {number:<2}{cells}".rstrip())
        figures = report["figures"][metric]
        gain = figures["update gain"]
        say(
            f"  AC {figures['average compatibility']:.2f}, "
            f"AA {100 * figures['average accuracy']:.2f}, update gain "
            f"{'–, NEW is not better than OLD' if gain is None else f'{gain:.2f}'}"
        )
    if report["skipped"]:
        say(f"{report['skipped']} photos could not be read and were left out", err=True)
