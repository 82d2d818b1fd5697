"""How well the model that comes with glocal finds things in real photographs, held to a baseline.

Reads the data sets beside the repository (``../shared/data``) and writes what it measures to
``artifacts/retrieval.json``. A figure that falls more than 0.01 below ``baseline.json`` fails.
After a change of the model that is meant, write a new baseline and commit it:

    GLOCAL_NEW_BASELINE=1 python -m pytest tests/retrieval
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from glocal.cli.app import glocal

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
SCENES, GROCERY = DATA / "scenes", DATA / "grocery" / "dataset"
BASELINE = Path(__file__).with_name("baseline.json")
ARTIFACT = REPOSITORY / "artifacts" / "retrieval.json"
TOLERANCE = 0.01
REBASING = os.environ.get("GLOCAL_NEW_BASELINE") == "1"

Figures = dict[str, float]


def fallen(figures: Figures, baseline: Figures) -> list[str]:
    """Which figures are worse than they may be."""
    return [
        f"{name} is {figures[name]:.4f}, was {value:.4f}"
        for name, value in baseline.items()
        if figures[name] < value - TOLERANCE
    ]


def scenes_among_shop_photos(_folder: Path) -> Sequence[str | Path]:
    return SCENES / "labels.csv", "--distractors", GROCERY / "val"


def product_image_to_shop_photos(folder: Path) -> Sequence[str | Path]:
    with (GROCERY / "val.txt").open(encoding="utf-8") as file:
        photos = [line.split(",") for line in file if line.strip()]
    with (GROCERY / "classes.csv").open(encoding="utf-8") as file:
        classes = list(csv.DictReader(file))
    icons = [(row["Iconic Image Path (str)"].lstrip("/"), row["Class ID (int)"]) for row in classes]
    tables = {"gallery": [(row[0], row[1].strip()) for row in photos], "queries": icons}
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label"))
            writer.writerows((GROCERY / path, label) for path, label in rows)
    return folder / "gallery.csv", "--queries", folder / "queries.csv"


MEASUREMENTS = (scenes_among_shop_photos, product_image_to_shop_photos)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both measurements read the same shop photos."""
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, Any]]:
    """What this run measures, by name; written when it is over."""
    document: dict[str, Any] = {"figures": {}}
    yield document
    if not document["figures"]:
        return
    ARTIFACT.parent.mkdir(exist_ok=True)
    write(ARTIFACT, document)
    if REBASING:
        kept = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
        write(BASELINE, document | {"figures": kept.get("figures", {}) | document["figures"]})


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


@pytest.mark.parametrize("arrange", MEASUREMENTS, ids=lambda arrange: arrange.__name__)
def test_figures_hold(
    arrange: Callable[[Path], Sequence[str | Path]],
    measured: dict[str, Any],
    cache: Path,
    tmp_path: Path,
) -> None:
    for needed in (SCENES / "labels.csv", GROCERY / "val.txt"):
        if not needed.is_file():
            pytest.skip(f"the data set of {needed} is not beside the repository")
    arguments = ["evaluate", "labelled", *map(str, arrange(tmp_path)), "--json"]
    result = CliRunner().invoke(glocal, [*arguments, "--cache", str(cache)], catch_exceptions=False)
    report = json.loads(result.stdout)
    assert report["skipped"] == []
    (row,) = report["figures"].values()
    name = arrange.__name__.replace("_", " ")
    figures = {column: round(row[column], 4) for column in ("mAP", "recall@1")}
    measured["model"] = report["model"]
    measured["figures"][name] = figures | {"queries": report["counts"]["queries"]}
    if not REBASING:
        baseline = json.loads(BASELINE.read_text(encoding="utf-8"))["figures"][name]
        assert report["counts"]["queries"] == baseline.pop("queries")
        assert not fallen(figures, baseline)


def test_only_a_fall_beyond_the_tolerance_counts() -> None:
    baseline = {"mAP": 0.7, "recall@1": 0.9}
    assert fallen({"mAP": 0.691, "recall@1": 0.95}, baseline) == []
    assert fallen({"mAP": 0.689, "recall@1": 0.9}, baseline) == ["mAP is 0.6890, was 0.7000"]
