"""Small real data for trials, divided so that the labels of the test part cannot be read.

The digits come with scikit-learn (1,797 images of 8x8 pixels of ten classes), Grocery (Klasson,
Zhang and Kjellström, 2019: 5,421 photos of 81 classes) has to be there already: the environment
variable ``GLOCAL_GROCERY`` names the folder that has its ``train.txt``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import MethodError, MissingExtraError
from glocal.evaluate.labelled import evaluate_labelled
from glocal.evaluate.ranking_metrics import mean_average_precision, rank_by_score
from glocal.registry import install_command

GROCERY = "GLOCAL_GROCERY"
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Images with their labels.

    Attributes:
        images: ``(n, h, w, 3)`` uint8 RGB.
        labels: ``(n,)`` int64, from 0.
    """

    images: Pixels
    labels: Labels


class Hidden:
    """Images whose labels are used to score and cannot be read.

    They may be scored once. A side of a trial that scores more often could choose by the test
    images, or read the labels off the scores.

    Attributes:
        images: ``(n, h, w, 3)`` uint8 RGB.
    """

    __slots__ = ("_score", "images")

    def __init__(self, images: Pixels, score: Callable[[str, NDArray[np.generic]], float]) -> None:
        self.images = images
        self._score = score

    def accuracy(self, predictions: NDArray[np.integer]) -> float:
        """Share of right labels, in per cent.

        Args:
            predictions: ``(n,)`` labels.

        Raises:
            MethodError: The images were scored already, or settings are being chosen.
        """
        return self._score("accuracy", np.asarray(predictions))

    def mean_ap(self, vectors: NDArray[np.floating]) -> float:
        """Mean average precision, in per cent, of each image as the query among the others.

        Args:
            vectors: ``(n, d)``.

        Raises:
            MethodError: The images were scored already, or settings are being chosen.
        """
        return self._score("mean_ap", np.asarray(vectors))

    def mean_ap_of_scores(self, scores: NDArray[np.floating]) -> float:
        """Likewise, from the scores of every pair, such as those of a re-ranking.

        Args:
            scores: ``(n, n)``: of each query, a row, with each image; higher is better.

        Raises:
            MethodError: The images were scored already, or settings are being chosen.
        """
        return self._score("mean_ap_of_scores", np.asarray(scores))


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Images to train on, to choose settings on, and to test on.

    Attributes:
        train: Half of the images.
        validation: A quarter.
        test: The last quarter.
        classes: Number of labels.
    """

    train: Labelled
    validation: Labelled
    test: Hidden
    classes: int


def accuracy(predictions: NDArray[np.integer], labels: Labels) -> float:
    """Share of right labels, in per cent."""
    return 100 * float((np.asarray(predictions) == labels).mean())


def mean_ap(vectors: NDArray[np.floating], labels: Labels) -> float:
    """Mean average precision, in per cent, of each image as the query among the others."""
    return 100 * evaluate_labelled(vectors, labels, vectors, labels, exclude_self=True).mean_ap


def mean_ap_of_scores(scores: NDArray[np.floating], labels: Labels) -> float:
    """Mean average precision, in per cent, from the scores of each query with each image."""
    count = len(labels)
    others = ~np.eye(count, dtype=bool)
    same = (labels[:, None] == labels)[others].reshape(count, count - 1)
    ranked = rank_by_score(np.asarray(scores)[others].reshape(count, count - 1))
    return 100 * mean_average_precision(np.take_along_axis(same, ranked, axis=1))


def divided(images: Pixels, labels: Labels, seed: int, may_score: Callable[[], None]) -> Data:
    """Divide images into halves and quarters, each with the same share of every label.

    Args:
        images: ``(n, h, w, 3)``.
        labels: ``(n,)``.
        seed: Seed of the division.
        may_score: Called before the test images are scored; raises where that is not allowed.
    """
    random = np.random.default_rng(seed)
    part = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        part[mine] = np.arange(len(mine)) % 4
    train, chosen_on, tested = part < 2, part == 2, part == 3
    answers = labels[tested]

    def score(metric: str, given: NDArray[np.generic]) -> float:
        may_score()
        if len(given) != len(answers):
            raise MethodError(f"there are {len(answers)} test images, not {len(given)}")
        if metric == "accuracy":
            return accuracy(given.astype(np.int64), answers)
        if metric == "mean_ap_of_scores":
            return mean_ap_of_scores(given.astype(np.float64), answers)
        return mean_ap(given.astype(np.float32), answers)

    return Data(
        Labelled(images[train], labels[train]),
        Labelled(images[chosen_on], labels[chosen_on]),
        Hidden(images[tested], score),
        classes=len(np.unique(labels)),
    )


@cache
def digits(side: int) -> tuple[Pixels, Labels]:
    """scikit-learn's digits, enlarged by a whole factor to ``side`` pixels.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this trial needs scikit-learn: {install_command('glocal[demo]')}"
        ) from error
    found = load_digits()
    grey = np.kron(found.images, np.ones((side // 8, side // 8)))
    pixels = np.clip(grey * 16, 0, 255).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=-1), found.target.astype(np.int64)


@cache
def grocery(side: int, per_class: int) -> tuple[Pixels, Labels]:
    """Photos of Grocery's 81 classes, scaled to squares.

    Raises:
        MethodError: ``GLOCAL_GROCERY`` names no folder that has them.
    """
    named = os.environ.get(GROCERY)
    folder = Path(named or "")
    if not named or not (folder / "train.txt").is_file():
        raise MethodError(
            f"this trial needs the photos of Grocery, and {GROCERY} is {named!r}; set it to the "
            "folder that has train.txt (github.com/marcusklasson/GroceryStoreDataset)"
        )
    from PIL import Image

    counts: dict[int, int] = {}
    images, labels = [], []
    for line in (folder / "train.txt").read_text(encoding="utf-8").splitlines():
        path, fine, _ = (field.strip() for field in line.split(","))
        label = int(fine)
        if counts.get(label, 0) < per_class:
            counts[label] = counts.get(label, 0) + 1
            with Image.open(folder / path) as photo:
                small = photo.convert("RGB").resize((side, side), Image.Resampling.BOX)
            images.append(np.asarray(small))
            labels.append(label)
    return np.stack(images), np.array(labels, np.int64)


@cache
def photos(side: int) -> tuple[Pixels, ...]:
    """Photos that scikit-image carries, as squares of this side.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this trial needs scikit-image: {install_command('glocal[demo]')}"
        ) from error
    from PIL import Image

    found = []
    for name in ("astronaut", "cat", "coffee", "rocket"):
        image = Image.fromarray(getattr(data, name)())
        square = min(image.size)
        cut = image.crop((0, 0, square, square)).resize((side, side), Image.Resampling.BOX)
        found.append(np.asarray(cut))
    return tuple(found)
