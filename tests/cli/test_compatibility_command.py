"""`glocal evaluate compatibility` on shades whose ranks can be read off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from made_datasets import ShadeEncoder, shade

from glocal.cli import compatibility as command
from glocal.cli.app import glocal
from glocal.encoders import Features
from glocal.errors import BridgeError, EvaluationError
from glocal.upgrade import make_bridge, save_bridge


class MirroredEncoder(ShadeEncoder):
    """Shade s becomes the angle 90° · (255 - s) / 255: black and white change places."""

    def _features(self, image: np.ndarray) -> Features:
        return super()._features(255 - image)


class LongEncoder(ShadeEncoder):
    """A third number, which is zero."""

    def _features(self, image: np.ndarray) -> Features:
        found = super()._features(image)
        return replace(found, vector=np.append(found.vector, np.float32(0)))


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, ShadeEncoder] = {}
    for name, kind in (("old", ShadeEncoder), ("new", MirroredEncoder), ("long", LongEncoder)):
        made[name] = kind(tmp_path / f"{name}.onnx")
        made[name].dim = 3 if name == "long" else 2
        made[name].card = replace(made[name].card, name=name, space=f"space of {name}")
    monkeypatch.setattr(command, "load_encoder", lambda spec, sessions: made[spec])


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Label a is nearly black, b nearly white."""
    for label, shades in (("a", (0, 10)), ("b", (244, 255))):
        for value in shades:
            shade(tmp_path / "collection" / label / f"{value}.png", value)
    return tmp_path / "collection"


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    for value in range(20, 240, 20):
        shade(tmp_path / "anchors" / f"{value}.png", value)
    return tmp_path / "anchors"


def run(*arguments: str | Path) -> str:
    words = ["evaluate", "compatibility", *map(str, arguments)]
    result = CliRunner().invoke(glocal, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def figures(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json"))["figures"]


def test_a_mirrored_model_finds_the_opposite_without_a_bridge(collection):
    found = figures("old", "new", collection)
    # Across, the one right answer is the last of three.
    assert found["mAP"]["matrix"] == [[1, None], [pytest.approx(1 / 3), 1]]
    assert found["recall@1"]["matrix"] == [[1, None], [0, 1]]
    assert found["mAP"]["average compatibility"] == 0
    assert found["mAP"]["average accuracy"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert found["mAP"]["update gain"] is None


def test_a_fitted_bridge_undoes_the_mirror(collection, anchors):
    found = figures("old", "new", collection, "--bridge", "procrustes", "--anchors", anchors)
    assert found["mAP"]["matrix"] == [[1, None], [1, 1]]


def test_a_chain_of_three_and_a_query_set(collection, tmp_path):
    shade(tmp_path / "asked" / "a" / "30.png", 30)
    found = figures("old", "new", "old", collection, "--queries", tmp_path / "asked")
    # The first of four is right for the same model; across, the right ones are third and fourth.
    cross = pytest.approx((1 / 3 + 2 / 4) / 2)
    assert found["mAP"]["matrix"] == [[1, None, None], [cross, 1, None], [1, cross, 1]]
    assert found["mAP"]["average compatibility"] == 0


def test_a_bridge_file_has_to_be_of_these_models(collection, tmp_path):
    angles = np.linspace(0, np.pi / 2, 9)
    old = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    bridge = make_bridge("procrustes").fit(old, old[:, ::-1])
    about = {"old_space": "space of old", "anchors": 9, "glocal_version": "1"}
    save_bridge(tmp_path / "right", bridge, new_space="space of new", **about)
    save_bridge(tmp_path / "other", bridge, new_space="space of another", **about)
    assert figures("old", "new", collection, "--bridge", tmp_path / "right")["mAP"]["matrix"] == [
        [1, None],
        [1, 1],
    ]
    with pytest.raises(EvaluationError, match="leads from space of another to space of old"):
        run("old", "new", collection, "--bridge", tmp_path / "other")
    (tmp_path / "damaged").write_bytes(b"no bridge")
    with pytest.raises(BridgeError, match="give a file that glocal wrote"):
        run("old", "new", collection, "--bridge", tmp_path / "damaged")


def test_the_table_has_a_row_for_each_model(collection):
    lines = run("old", "new", collection).splitlines()
    assert lines[:2] == ["1: old version 3", "2: new version 3"]
    assert "mAP           in 1    in 2" in lines
    assert "  query 2    33.33  100.00" in lines
    assert "  AC 0.00, AA 77.78, update gain –, NEW is not better than OLD" in lines


def test_an_unreadable_photo_is_left_out(collection, tmp_path):
    (collection / "a" / "broken.png").write_bytes(b"no image")
    assert figures("old", "new", collection)["mAP"]["matrix"][0][0] == 1


def test_vectors_of_other_lengths_need_a_bridge(collection, anchors):
    with pytest.raises(EvaluationError, match=r"vectors of 3 numbers .* of 2; add --bridge"):
        run("old", "long", collection)
    found = figures("old", "long", collection, "--bridge", "ridge", "--anchors", anchors)
    assert found["recall@1"]["matrix"] == [[1, None], [1, 1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["old", "D"], "at least two models"),
        (["old", "new", "D", "--anchors", "D"], "add --bridge NAME"),
        (["old", "new", "D", "--bridge", "ridge"], "add --anchors FOLDER"),
        (["old", "new", "old", "D", "--bridge", "ridge"], "between two models, not 3"),
        (["old", "new", "D", "--bridge", "rigde"], "neither a file nor a bridge; choose from"),
    ],
)
def test_impossible_requests_say_what_to_do(collection, arguments, said):
    with pytest.raises(click.UsageError, match=said):
        run(*[collection if each == "D" else each for each in arguments])


def test_anchors_may_not_be_evaluated(collection):
    with pytest.raises(EvaluationError, match="is an anchor and is evaluated"):
        run("old", "new", collection, "--bridge", "ridge", "--anchors", collection / "a")
