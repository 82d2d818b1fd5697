"""Grocery's photos and what is said of them, divided for trials that search by words.

Texts are encoded by the MiniLM of `glocal.learn.minilm`, photos by the trunks of
`glocal.trials.trunk_vectors`; both stay as they are, and each is encoded once a process.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glocal.errors import MethodError
from glocal.learn.locked_text import train_image_side
from glocal.learn.minilm import WIDTH, encode_sentences
from glocal.trials import data
from glocal.trials.lab import Lab
from glocal.trials.trunk_vectors import vectors_of

SIDE, PER_CLASS, STEPS = 96, 16, 200
Floats = NDArray[np.float32]
Combine = Callable[[Floats, Floats], Floats]
_PAIRS: dict[tuple[int, bool], nn.Linear] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """What is said of each class, as vectors of unit length.

    Attributes:
        names: ``(81, 384)``.
        all: of each class its name, what it is, and the sentences of its description.
        coarse: ``(81,)``: which classes are of one sort, such as apples.
        family: ``(81,)``: fruit, packages or vegetables.
    """

    names: Floats
    all: tuple[Floats, ...]
    coarse: NDArray[np.int64]
    family: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What makes one class another of the same sort, such as "orange instead of apple".

    Attributes:
        pairs: ``(p, 2)``: from which class to which.
        texts: ``(p, 384)`` of unit length.
    """

    pairs: NDArray[np.int64]
    texts: Floats


@dataclass(frozen=True, slots=True, eq=False)
class WordTask:
    """Photos in parts, each with the same share of every class.

    Attributes:
        texts: what is said of the classes.
        first: a quarter, to train an image-text pair on.
        second: half, such as a gallery's to fit something to.
        test: a quarter, whose labels are hidden.
        recall: of scores ``(81, n)`` of each class's name with each test photo the mean share of
            a class's r photos among its best r, in per cent; it may be called once a side.
        change_recall: of the test photos' vectors ``(n, k)`` and of a function that makes queries
            of photos and changes, each ``(q, k)``: the mean share of a class's r photos among the
            best r of each test photo of another class and the change between both, the photo left
            out, in per cent. These changes are those of every fourth pair, not in `changes`; it
            may be called once a side too.
        changes: between classes, to train on.
        chance: what random scores would give `recall`.
    """

    texts: Texts
    first: data.Labelled
    second: data.Labelled
    test: NDArray[np.uint8]
    recall: Callable[[Floats], float]
    change_recall: Callable[[Floats, Combine], float]
    changes: Changes
    chance: float


def words(lab: Lab) -> WordTask:
    """Photos of Grocery and what is said of them, divided by the seed."""
    images, labels = data.grocery(32 if lab.smoke else SIDE, 4 if lab.smoke else PER_CLASS)
    part = quarters(labels, lab.seed)
    second, answers = (part == 1) | (part == 2), labels[part == 3]

    def recall(scores: Floats) -> float:
        lab._may_score()
        return name_recall(scores, answers)

    every = changes_of(lab.smoke)
    held = np.random.default_rng(lab.seed).permutation(len(every.pairs)) % 4 == 0

    def change_recall(vectors: Floats, combine: Combine) -> float:
        lab._may_score()
        asked = [
            (photo, number)
            for number in np.flatnonzero(held)
            for photo in np.flatnonzero(answers == every.pairs[number, 0])
        ]
        photos, numbers = (np.array(each) for each in zip(*asked, strict=True))
        scores = combine(vectors[photos], every.texts[numbers]) @ vectors.T
        scores[np.arange(len(photos)), photos] = -np.inf
        wanted = answers == every.pairs[numbers, 1][:, None]
        shares = [
            right[np.argsort(-row, kind="stable")[: right.sum()]].mean()
            for row, right in zip(scores, wanted, strict=True)
        ]
        return 100 * float(np.mean(shares))

    shares = np.bincount(answers) / len(answers)
    return WordTask(
        texts_of(lab.smoke),
        data.Labelled(images[part == 0], labels[part == 0]),
        data.Labelled(images[second], labels[second]),
        images[part == 3],
        recall,
        change_recall,
        Changes(every.pairs[~held], every.texts[~held]),
        100 * float(shares.mean()),
    )


def toy_pair(lab: Lab, task: WordTask) -> nn.Linear:
    """The image side of a toy image-text pair: a linear head on lite2, trained on `first`.

    Both sides of a trial, and other trials, get the same of a seed.
    """
    key = lab.seed, lab.smoke
    if key not in _PAIRS:
        rows = vectors_of("lite2", task.first.images)
        with torch.random.fork_rng():  # what comes after draws the same, found here or not
            torch.manual_seed(lab.seed)
            _PAIRS[key] = train_image_side(
                rows,
                task.first.labels,
                task.texts.all,
                steps=lab.steps(STEPS),
                batch=128,
                random=np.random.default_rng(lab.seed),
            )
    return _PAIRS[key]


def quarters(labels: data.Labels, seed: int) -> NDArray[np.int64]:
    """Which of four parts each photo belongs to; of every class equally many to each."""
    random = np.random.default_rng(seed)
    part = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        part[mine] = np.arange(len(mine)) % 4
    return part


def name_recall(scores: Floats, labels: data.Labels) -> float:
    """Mean share of a class's r photos among the r best of its name, in per cent.

    Args:
        scores: ``(classes, n)``.
        labels: ``(n,)``.
    """
    shares = []
    for label in np.unique(labels):
        count = int((labels == label).sum())
        best = np.argsort(-scores[label], kind="stable")[:count]
        shares.append((labels[best] == label).mean())
    return 100 * float(np.mean(shares))


@cache
def texts_of(smoke: bool) -> Texts:
    """What is said of Grocery's classes; in a smoke run the vectors are random."""
    folder = Path(os.environ.get(data.GROCERY, ""))
    try:
        with (folder / "classes.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        said = [_sentences(folder, row) for row in rows]
    except OSError as error:
        raise MethodError(
            f"this trial needs what Grocery says of its classes, and {data.GROCERY} is "
            f"{str(folder)!r}; set it to the folder that has classes.csv ({error})"
        ) from error
    vectors = _encoded([sentence for sentences in said for sentence in sentences], smoke)
    parts = np.split(vectors, np.cumsum([len(each) for each in said])[:-1])
    families = [row["Iconic Image Path (str)"].split("/")[2] for row in rows]
    return Texts(
        np.stack([each[0] for each in parts]),
        tuple(parts),
        np.array([int(row["Coarse Class ID (int)"]) for row in rows]),
        np.unique(families, return_inverse=True)[1],
    )


@cache
def changes_of(smoke: bool) -> Changes:
    """What makes each class another one of its sort; in a smoke run the vectors are random."""
    coarse = texts_of(smoke).coarse
    folder = Path(os.environ.get(data.GROCERY, ""))
    with (folder / "classes.csv").open(encoding="utf-8") as file:
        names = [_name(row).split() for row in csv.DictReader(file)]
    pairs = [
        (one, other)
        for one in range(len(names))
        for other in np.flatnonzero(coarse == coarse[one])
        if one != other
    ]
    texts = [_change(names[one], names[other]) for one, other in pairs]
    return Changes(np.array(pairs), _encoded(texts, smoke))


def _change(before: list[str], after: list[str]) -> str:
    """What the names differ in: the words that both have say nothing of it."""
    gone = " ".join(word for word in before if word not in after)
    come = " ".join(word for word in after if word not in before)
    if not come:
        return f"without {gone}"
    return f"{come} instead of {gone}" if gone else f"with {come}"


def _encoded(sentences: list[str], smoke: bool) -> Floats:
    if not smoke:
        return encode_sentences(sentences)
    vectors = np.random.default_rng(0).normal(size=(len(sentences), WIDTH)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sentences(folder: Path, row: dict[str, str]) -> list[str]:
    text = (folder / row["Product Description Path (str)"].strip("/")).read_text("utf-8")
    sentences = [each.strip() for each in text.replace("\n", " ").split(".") if each.strip()]
    return [_name(row), _plain(row["Coarse Class Name (str)"]), *sentences]


def _name(row: dict[str, str]) -> str:
    fine, coarse = _plain(row["Class Name (str)"]), _plain(row["Coarse Class Name (str)"])
    return fine if coarse in fine else f"{fine} {coarse}"


def _plain(name: str) -> str:
    return name.replace("-", " ").lower()
