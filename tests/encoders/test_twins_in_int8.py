"""A model and its twin in int8: which of them encodes, and what becomes of a wrong twin."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, bundled_models, load_encoder
from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import read_card
from glocal.encoders.precision import BUNDLED, SUFFIX, find_twin, trial_picture, twin_path, wanted
from glocal.encoders.regions import COARSE
from glocal.errors import ModelError
from glocal.gallery import Gallery
from tiny_model import write_model

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
SPACE = "tiny-space"
MULTISCALE = f"{DEFAULT_MODEL}-multiscale"
LARGER = "glocal-lite2"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: folder)
    monkeypatch.delenv("GLOCAL_PRECISION", raising=False)
    return folder


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.onnx", space=SPACE)


def add_twin(model, *, near=0.999, agreement=0.9, **changes):
    """A twin that is another model of nearly the same vectors."""
    made = {"kind": "int8", "of": file_sha256(model), "trial": agreement} | changes
    return write_model(twin_path(model), 1, near=near, space=SPACE, precision=made)


def clock_of(in_float, in_int8):
    """A clock by which both take these milliseconds, by turns."""
    now, turns = [0.0], [0]

    def tick():
        turns[0] += 1
        if turns[0] % 2 == 0:
            now[0] += (in_float if turns[0] % 4 == 2 else in_int8) / 1000
        return now[0]

    return tick


def shared(one, two):
    """Rows of one that two has too, and which they are there."""
    return np.nonzero((one[:, None] == two[None]).all(2))


def never():
    raise AssertionError("measured again")


def test_the_faster_one_encodes_and_is_remembered(model):
    twin = add_twin(model)
    encoder = OnnxEncoder(model, clock=clock_of(10, 5))
    assert (encoder.precision, encoder.encodes, encoder.path) == ("int8", twin, model)
    assert encoder.space == SPACE
    again = OnnxEncoder(model, clock=never)
    (one,), (two,) = encoder.encode([IMAGE]), again.encode([IMAGE])
    alone = OnnxEncoder(twin).encode([IMAGE])[0]
    assert np.array_equal(one.vector, two.vector)
    assert np.array_equal(one.vector, alone.vector)
    assert not np.array_equal(
        one.vector, OnnxEncoder(model, precision="float").encode([IMAGE])[0].vector
    )


@pytest.mark.parametrize("in_int8", [9.5, 10, 30])
def test_float_encodes_where_int8_gains_nothing(model, in_int8):
    add_twin(model)
    assert OnnxEncoder(model, clock=clock_of(10, in_int8)).precision == "float"


def test_a_twin_that_computes_something_else_here_is_not_used(model, caplog):
    add_twin(model, near=0.0, agreement=0.99)
    with caplog.at_level(logging.WARNING):
        encoder = OnnxEncoder(model, clock=clock_of(10, 1))
    assert encoder.precision == "float"
    assert "instead of 0.990: float is used" in caplog.text
    assert OnnxEncoder(model, clock=never).precision == "float"


def test_what_was_asked_for_comes_first(model, monkeypatch):
    add_twin(model)
    assert OnnxEncoder(model, precision="int8", clock=never).precision == "int8"
    monkeypatch.setenv("GLOCAL_PRECISION", "int8")
    assert load_encoder(model).precision == "int8"
    assert OnnxEncoder(model, precision="float", clock=never).precision == "float"
    monkeypatch.setenv("GLOCAL_PRECISION", "float")
    assert load_encoder(model).precision == "float"
    monkeypatch.setenv("GLOCAL_PRECISION", "")
    assert wanted(None) == "auto"


def test_unknown_precisions_are_refused(model, monkeypatch):
    with pytest.raises(ModelError, match="argument precision is 'half'; name one of auto, float"):
        OnnxEncoder(model, precision="half")
    monkeypatch.setenv("GLOCAL_PRECISION", "INT4")
    with pytest.raises(ModelError, match="variable GLOCAL_PRECISION is 'INT4'"):
        OnnxEncoder(model)


def test_a_model_without_a_twin_encodes_in_float(model, monkeypatch):
    assert OnnxEncoder(model, clock=never).precision == "float"
    monkeypatch.setenv("GLOCAL_PRECISION", "int8")
    assert OnnxEncoder(model).precision == "float"
    with pytest.raises(ModelError, match=r"has no twin in int8; make one: glocal quantize .*model"):
        OnnxEncoder(model, precision="int8")


def test_a_card_can_say_that_the_model_stays_in_float(tmp_path):
    model = write_model(tmp_path / "model.onnx", precision="float")
    add_twin(model)
    assert OnnxEncoder(model, clock=never).precision == "float"
    assert OnnxEncoder(model, precision="int8").precision == "int8"


@pytest.mark.parametrize(
    "changes", [{"of": "0" * 64}, {"of": 5}, {"trial": "high"}, {"trial": None}]
)
def test_twins_of_other_models_or_with_damaged_cards_are_none(model, changes):
    add_twin(model, **changes)
    assert find_twin(model, read_card(model)) is None
    assert OnnxEncoder(model, clock=never).precision == "float"


def test_a_model_that_differs_in_its_card_alone_has_the_same_twin(model, tmp_path):
    """Named beside it here, among the bundled models there; measured for itself."""
    made = {"kind": "int8", "of": file_sha256(model), "trial": 0.9}
    other = write_model(tmp_path / "other.onnx", name="other", same_network_as=file_sha256(model))
    twin = write_model(twin_path(other), 1, near=0.999, precision=made)
    assert OnnxEncoder(other, clock=clock_of(10, 5)).encodes == twin
    assert OnnxEncoder(other, clock=never).encodes == twin
    wrong = write_model(tmp_path / "wrong.onnx", 2, same_network_as=file_sha256(model))
    twin.rename(twin_path(wrong))
    # It says so, and it is not so: its vector is another.
    assert OnnxEncoder(wrong, clock=clock_of(10, 5)).encodes == wrong


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_damaged_twin_is_passed_over(model, content, caplog):
    """Also one that was measured before it was damaged."""
    twin = add_twin(model)
    assert OnnxEncoder(model, clock=clock_of(10, 5)).precision == "int8"
    whole = twin.read_bytes()
    twin.write_bytes(whole.replace(b"MatMul", b"MatMal") if content is None else content)
    assert OnnxEncoder(model).precision == "float"
    assert OnnxEncoder(model, precision="int8" if content is None else None).encode([IMAGE])
    twin.unlink()
    assert OnnxEncoder(model).precision == "float"


def test_a_cache_that_cannot_be_written_only_costs_time(model, cache):
    add_twin(model)
    cache.write_text("no folder")
    assert OnnxEncoder(model, clock=clock_of(10, 5)).precision == "int8"
    assert OnnxEncoder(model, clock=clock_of(5, 10)).precision == "float"


def test_a_gallery_keeps_the_twin_of_its_model(model, tmp_path, monkeypatch):
    twin = add_twin(model)
    with Gallery(tmp_path / "gallery", model=str(model)) as gallery:
        kept = gallery.folder / f"model-{file_sha256(model)[:16]}{SUFFIX}"
        assert kept.read_bytes() == twin.read_bytes()
    for file in (model, twin):
        file.unlink()
    monkeypatch.setenv("GLOCAL_PRECISION", "int8")
    with Gallery(tmp_path / "gallery") as gallery:
        assert gallery.encoder.precision == "int8"
        assert gallery.model.space == SPACE


def test_the_twin_of_a_bundled_model_is_no_model_of_its_own():
    twins = {DEFAULT_MODEL: DEFAULT_MODEL, MULTISCALE: DEFAULT_MODEL, LARGER: LARGER}
    assert list(bundled_models()) == list(twins)
    for name, path in bundled_models().items():
        assert find_twin(path, read_card(path)).path == BUNDLED / f"{twins[name]}{SUFFIX}"
    for name in (DEFAULT_MODEL, LARGER):
        card = read_card(bundled_models()[name])
        own = read_card(BUNDLED / f"{name}{SUFFIX}")
        for field in ("name", "version", "space", "dim", "licence"):
            assert getattr(card, field) == getattr(own, field)


@pytest.mark.parametrize("name", [DEFAULT_MODEL, LARGER])
def test_a_bundled_twin_gives_what_the_model_gives(name):
    """On a drawn picture; `benchmarks/precision.py` compares them on photos."""
    (picture,) = trial_picture(read_card(bundled_models()[name]))
    (one,), (two,) = (
        load_encoder(name, precision=precision).encode([picture], regions=COARSE)
        for precision in ("float", "int8")
    )
    assert one.vector @ two.vector > 0.98
    rows, others = shared(one.boxes, two.boxes)
    assert len(rows) >= 4
    assert (one.regions[rows] * two.regions[others]).sum(1).min() > 0.97
    rows, others = shared(one.keypoints, two.keypoints)
    assert len(rows) > 0.8 * len(one.keypoints)
    assert np.median((one.descriptors[rows] * two.descriptors[others]).sum(1)) > 0.99
