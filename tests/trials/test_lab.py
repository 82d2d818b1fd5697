"""Settings are chosen on validation images, and the labels of the test images cannot be read."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from glocal.errors import MethodError
from glocal.trials import data
from glocal.trials.data import Hidden, divided
from glocal.trials.lab import Lab

N = 80


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that show their number, in place of scikit-learn's digits."""

    def made(side: int):
        labels = np.arange(N) % 5
        numbers = np.arange(N, dtype=np.uint8)[:, None, None, None]
        return np.broadcast_to(numbers, (N, side, side, 3)).copy(), labels

    monkeypatch.setattr(data, "digits", made)


def parts(lab: Lab) -> list[set[int]]:
    found = lab.digits(8)
    sides = (found.train.images, found.validation.images, found.test.images)
    return [set(images[:, 0, 0, 0].tolist()) for images in sides]


def test_the_parts_are_disjoint_and_have_every_label() -> None:
    train, validation, test = parts(Lab(0))
    assert (len(train), len(validation), len(test)) == (40, 20, 20)
    assert not train & validation
    assert not (train | validation) & test
    assert set(Lab(0).digits(8).validation.labels.tolist()) == set(range(5))


def test_both_sides_of_a_pair_get_the_same_parts_and_other_seeds_others() -> None:
    assert parts(Lab(3)) == parts(Lab(3))
    assert parts(Lab(3)) != parts(Lab(4))


def test_the_test_part_gives_no_labels() -> None:
    test = Lab(0).digits(8).test
    answers = test.images[:, 0, 0, 0] % 5
    public = [name for name in dir(test) if not name.startswith("_")]
    assert sorted(public) == ["accuracy", "images", "mean_ap", "mean_ap_of_scores"]
    assert not hasattr(test, "__dict__")
    assert test.accuracy(answers.astype(np.int64)) == 100
    held = [getattr(test, name) for name in Hidden.__slots__]
    arrays = [each for each in [*held, *gc.get_referents(test)] if isinstance(each, np.ndarray)]
    assert not any(np.array_equal(each, answers) for each in arrays)


def test_the_test_part_is_scored_once() -> None:
    lab = Lab(0)
    test = lab.digits(8).test
    test.accuracy(np.zeros(20, np.int64))
    for again in (test, lab.digits(8).test):
        with pytest.raises(MethodError, match="scored once"):
            again.accuracy(np.zeros(20, np.int64))


def test_settings_are_chosen_on_validation_images_only() -> None:
    lab = Lab(0)
    found = lab.digits(8)

    def score(label: int) -> float:
        return data.accuracy(np.full(20, label), found.validation.labels) + label

    assert lab.choose([0, 2, 1], score, on="validation") == 2
    with pytest.raises(MethodError, match="may not be chosen on test images"):
        lab.choose([0, 1], lambda _: found.test.accuracy(np.zeros(20, np.int64)), on="validation")
    for where in ("test", "train"):
        with pytest.raises(MethodError, match="on='validation'"):
            lab.choose([0, 1], score, on=where)
    assert found.test.accuracy(np.zeros(20, np.int64)) == 20


def test_retrieval_is_scored_by_mean_average_precision() -> None:
    labels = np.repeat(np.arange(5), 16)
    images = np.zeros((N, 8, 8, 3), np.uint8)
    images[:, 0, 0, 0] = labels
    test = divided(images, labels, 0, lambda: None).test
    perfect = np.eye(5, dtype=np.float32)[test.images[:, 0, 0, 0]]
    assert test.mean_ap(perfect) == pytest.approx(100)
    assert test.mean_ap(np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)) < 60


def test_missing_photos_are_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(data.GROCERY, str(tmp_path))
    with pytest.raises(MethodError, match=r"GLOCAL_GROCERY .* train\.txt"):
        Lab(0).grocery()
