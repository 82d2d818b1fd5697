"""One file holds several encoders: one of them is cut out of it, chosen by name or by time."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the models of these tests are made by onnx")

from made_model import card, write_model  # noqa: E402

from glocal.encoders import OnnxEncoder, load_encoder  # noqa: E402
from glocal.encoders.onnx_file import cut, metadata  # noqa: E402
from glocal.encoders.stitches import measured, stitches_of, within_budget  # noqa: E402
from glocal.errors import ModelError  # noqa: E402
from made_stitches import NAMES, join, listed  # noqa: E402

CARD = card(name="joined", space="one")

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture
def parts(tmp_path):
    return {
        name: write_model(tmp_path / f"{name}.onnx", seed=10 * number)
        for number, name in enumerate(NAMES)
    }


@pytest.fixture
def joined(parts, tmp_path):
    return join(parts, tmp_path / "joined.onnx", listed(), CARD)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: folder)
    return folder


def clock_of(*milliseconds):
    """A clock by which the stitches take these times, one after the other."""
    now, ticks = 0.0, []
    for each in milliseconds:
        for _ in range(5):
            ticks += [now, now + each / 1000]
            now += 1
    remaining = iter(ticks)
    return lambda: next(remaining)


def never():
    raise AssertionError("measured again")


def test_each_stitch_computes_what_its_own_file_does(parts, joined):
    for name, path in parts.items():
        alone, cut_out = OnnxEncoder(path), OnnxEncoder(joined, stitch=name)
        assert cut_out.stitch == name
        (one,), (two,) = alone.encode([IMAGE]), cut_out.encode([IMAGE])
        for field in ("vector", "keypoints", "descriptors", "scores"):
            assert np.array_equal(getattr(one, field), getattr(two, field)), (name, field)
    assert [each.name for each in OnnxEncoder(joined).stitches] == list(NAMES)
    assert OnnxEncoder(joined).stitch == "large"
    assert load_encoder(joined, stitch="small").space == load_encoder(joined).space == "one"
    assert OnnxEncoder(parts["small"]).stitches == ()
    assert OnnxEncoder(parts["small"]).stitch is None


def test_more_sessions_are_of_the_same_stitch(joined):
    encoder = OnnxEncoder(joined, stitch="small", sessions=2)
    first = encoder._idle.get()  # the next caller has to open one
    (one,) = encoder.encode([IMAGE])
    encoder._idle.put(first)
    (two,) = encoder.encode([IMAGE])
    assert np.array_equal(one.vector, two.vector)


@pytest.mark.parametrize(
    ("budget", "name"), [(9.0, "large"), (5.01, "large"), (4.99, "switch-1"), (1.5, "small")]
)
def test_the_most_accurate_that_keeps_the_budget_is_used(joined, cache, budget, name):
    encoder = OnnxEncoder(joined, budget_ms=budget, clock=clock_of(1, 2, 5))
    assert encoder.stitch == name
    again = OnnxEncoder(joined, budget_ms=budget, clock=never)  # remembered
    assert again.stitch == name


def test_where_none_keeps_it_the_fastest_is_used_and_it_is_said(joined, cache, caplog):
    with caplog.at_level(logging.WARNING):
        assert OnnxEncoder(joined, budget_ms=0.5, clock=clock_of(3, 2, 5)).stitch == "switch-1"
    assert "no stitch of model joined v1" in caplog.text
    assert "the fastest, switch-1, is used, which takes 2.0 ms" in caplog.text


def test_what_was_remembered_is_of_one_file_and_of_so_many_threads(joined, cache, parts, tmp_path):
    OnnxEncoder(joined, budget_ms=3, clock=clock_of(1, 2, 5))
    other = join(parts, tmp_path / "other.onnx", listed(agreement=0.5), CARD)
    assert OnnxEncoder(other, budget_ms=3, clock=clock_of(2, 4, 6)).stitch == "small"
    assert OnnxEncoder(joined, budget_ms=3, threads=2, clock=clock_of(1, 1, 1)).stitch == "large"
    assert len(list(cache.rglob("*.json"))) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"milliseconds": {"small": -1}}', "\x00"])
def test_damaged_figures_are_measured_again(joined, cache, text):
    OnnxEncoder(joined, budget_ms=3, clock=clock_of(1, 2, 5))
    (file,) = cache.rglob("*.json")
    file.write_text(text)
    assert OnnxEncoder(joined, budget_ms=3, clock=clock_of(4, 5, 2)).stitch == "large"
    assert OnnxEncoder(joined, budget_ms=3, clock=never).stitch == "large"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    times = measured(
        ["a"], lambda name: lambda: None, sha256="0", threads=1, clock=clock_of(7),
        folder=tmp_path / "file" / "below",
    )  # fmt: skip
    assert times == pytest.approx([7])


def test_equal_accuracy_takes_the_faster():
    assert within_budget([3, 2, 5], [0.9, 0.9, 1.0], 4) == (1, True)
    assert within_budget([3, 2, 5], [0.9, 0.9, 1.0], 1) == (1, False)
    assert within_budget([3, 2, 5], [0.9, 0.9, 1.0], 5) == (2, True)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_an_impossible_budget_is_refused(joined, cache, budget):
    with pytest.raises(ModelError, match="is impossible; give more than 0"):
        OnnxEncoder(joined, budget_ms=budget, clock=never)


def test_a_model_without_stitches_refuses_a_choice(parts):
    with pytest.raises(ModelError, match=r"a budget of 20 ms leaves nothing to choose; leave it"):
        OnnxEncoder(parts["small"], budget_ms=20)
    with pytest.raises(ModelError, match=r"the stitch 'small' leaves nothing to choose"):
        OnnxEncoder(parts["small"], stitch="small")


def test_an_unknown_stitch_is_answered_with_those_there_are(joined):
    with pytest.raises(ModelError, match=r"'medium'; name one of small, switch-1, large"):
        OnnxEncoder(joined, stitch="medium")
    with pytest.raises(ModelError, match=r"together with a budget of 3 ms; name one of small"):
        OnnxEncoder(joined, stitch="small", budget_ms=3)


def test_a_card_that_lists_what_the_file_lacks_is_refused(parts, tmp_path):
    file = join(parts, tmp_path / "lacking.onnx", listed((*NAMES, "huge")), CARD)
    with pytest.raises(ModelError, match=r"does not hold the stitch 'huge' that its card lists"):
        OnnxEncoder(file)
    assert OnnxEncoder(file, stitch="small").stitch == "small"


@pytest.mark.parametrize(
    "stored",
    [
        [], {}, "small", 3, [1], [{}], listed(("small", "small")), listed(name="a/b"),
        listed(name=""), listed(macs=0), listed(time=0), listed(time="fast"), listed(agreement=7),
        listed(agreement=float("nan")), listed(macs=float("inf")), listed(tuple("abcdefgh") * 9),
    ],
)  # fmt: skip
def test_a_damaged_list_is_told(stored):
    with pytest.raises(ModelError, match=r"stitches in the card of model x.onnx cannot be read"):
        stitches_of({"stitches": stored}, "x.onnx")


def test_notes_are_read_without_running_the_model(joined):
    data = memoryview(joined.read_bytes())
    assert json.loads(metadata(data, "glocal.card"))["name"] == "joined"
    assert metadata(data, "other") is None


def test_damage_anywhere_is_a_value_error(joined):
    data = joined.read_bytes()
    with pytest.raises(ValueError, match="begins with 'none/'"):
        cut(memoryview(data), "none/")
    for end in range(0, len(data), 61):
        try:
            cut(memoryview(data[:end]), "small/")
            metadata(memoryview(data[:end]), "glocal.card")
        except ValueError:
            pass
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 3):
            damaged[place] = random.integers(0, 256)
        try:
            cut(memoryview(damaged), "small/")
            metadata(memoryview(damaged), "glocal.card")
        except ValueError:
            pass


def test_a_damaged_file_is_a_model_error(joined, tmp_path):
    data = joined.read_bytes()
    for end in range(0, len(data), 997):
        (tmp_path / "short.onnx").write_bytes(data[:end])
        with pytest.raises(ModelError):
            OnnxEncoder(tmp_path / "short.onnx", stitch="small")
