"""The images of a training: folders named by label, tables, or plain folders."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from glocal.errors import EvaluationError, LearnError
from glocal.evaluate.datasets.listing import images_below, read_table
from glocal.images import has_image_suffix

_log = logging.getLogger(__name__)

Split = Literal["train", "validation"]

_SPLITS: dict[str, Split] = {
    "": "train",
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_LEFT_OUT = {"test", "testing"}  # what is left out on purpose
_HELD_OUT = 10  # one in ten images is held out if the data set names no validation split
_MOST_HELD_OUT = 400  # more would only make each evaluation slower
_LAYOUT = (
    "a folder with a folder of images for each label, or a table with the columns path and "
    "label, and optionally split (train or val)"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a training.

    Attributes:
        path: image file.
        label: what the image shows; None if unknown.
        split: whether the model learns from the image or is evaluated on it.
        source: number of the data set it comes from, counted from 0.
    """

    path: Path
    label: str | None = None
    split: Split = "train"
    source: int = 0


def read_labelled(data: Path) -> list[Sample]:
    """Read labelled images, in the order of the table or sorted by path.

    Args:
        data: a folder with a folder for each label, or a CSV file with paths relative to it. In
            its column ``split``, train or an empty field means training, val means evaluation,
            and images with any other value, such as test, are not used.

    Raises:
        LearnError: the folder or table holds no labelled images.
    """
    try:
        if data.is_file():
            return _from_table(data)
        _require_folder(data)
        found = [
            Sample(path, folder.name)
            for folder in sorted(data.iterdir())
            if folder.is_dir() and not folder.name.startswith(".")
            for path in images_below(folder, has_image_suffix)
        ]
    except EvaluationError as error:
        raise LearnError(str(error)) from error
    if not found:
        loose = any(has_image_suffix(path.name) for path in data.iterdir())
        raise LearnError(
            f"{data} has no labels; it should be {_LAYOUT}."
            + (" To train without labels, use --objective instance" if loose else "")
        )
    return found


def read_unlabelled(data: Path, source: int) -> list[Sample]:
    """Read every image below a folder, sorted by path, or those of a table; labels are ignored.

    Raises:
        LearnError: there is no image.
    """
    try:
        if data.is_file():
            return [replace(sample, label=None, source=source) for sample in _from_table(data)]
        paths = images_below(_require_folder(data, "a folder of images"), has_image_suffix)
    except EvaluationError as error:
        raise LearnError(str(error)) from error
    if not paths:
        raise LearnError(f"there is no image below {data}; use a folder with images")
    return [Sample(path, source=source) for path in paths]


def without_twins(samples: Iterable[Sample]) -> list[Sample]:
    """Keep each file once, as it came first."""
    seen: dict[Path, Sample] = {}
    for sample in samples:
        seen.setdefault(sample.path.resolve(), sample)
    return list(seen.values())


def hold_out(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Hold out images for evaluation, unless the data set names a validation split.

    From each label with six images or more, a tenth is held out and at least two images, so that
    they can find each other; from images without labels, a tenth of all; at most 400 of each kind.

    Args:
        samples: all images; returned unchanged if some are held out already.
        seed: seed of the choice.
    """
    if any(sample.split == "validation" for sample in samples):
        return list(samples)
    random = np.random.default_rng([seed, 0])
    groups: dict[str | None, list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(sample.label, []).append(number)
    chosen: set[int] = set()
    loose = groups.pop(None, [])
    room = _MOST_HELD_OUT
    for label in random.permutation(sorted(label for label in groups if label is not None)):
        numbers = groups[str(label)]
        count = max(2, len(numbers) // _HELD_OUT)
        if len(numbers) >= 6 and count <= room:
            chosen.update(random.permutation(numbers)[:count].tolist())
            room -= count
    if loose:
        count = min(_MOST_HELD_OUT, len(loose) // _HELD_OUT)
        chosen.update(random.permutation(loose)[:count].tolist())
    return [
        replace(sample, split="validation") if number in chosen else sample
        for number, sample in enumerate(samples)
    ]


def check_labels(samples: Sequence[Sample]) -> None:
    """Check that there is something to learn from the labels.

    Raises:
        LearnError: there are fewer than two labels, or labels with a single image; the text names
            them.
    """
    counts = Counter(s.label for s in samples if s.label is not None and s.split == "train")
    if len(counts) < 2:
        there = f"only {next(iter(counts))!r}" if counts else "none"
        raise LearnError(
            f"learning needs two or more labels, but there is {there}; add images of others"
        )
    single = sorted(str(label) for label, count in counts.items() if count == 1)
    if single:
        named = ", ".join(single[:5]) + (" and others" if len(single) > 5 else "")
        raise LearnError(
            f"{len(single)} of {len(counts)} labels have one image to learn from: {named}. "
            "Add images, or leave these labels out: an image alone has no match to learn"
        )


def _listed(splits: set[str]) -> str:
    named = sorted(splits)
    return ", ".join(map(repr, named[:3])) + (", ..." if len(named) > 3 else "")


def _from_table(path: Path) -> list[Sample]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = [name.strip() for name in file.readline().split(",")]
    columns = [("path",), ("label",), ("split",)]
    wanted = columns if "split" in header else columns[:2]
    found, others = list[Sample](), set[str]()
    for _, (name, label, *rest) in read_table(path, wanted):
        split = _SPLITS.get(rest[0].lower() if rest else "")
        if split:
            found.append(Sample(path.parent / name, label or None, split))
        else:
            others.add(rest[0])
    if not found:
        said = f": its column split says {_listed(others)}" if others else ""
        raise LearnError(
            f"{path} names no image to learn from{said}; in the column split, if there is one, "
            "write train or val"
        )
    if unknown := others - _LEFT_OUT:
        _log.warning("%s: images of the split %s are left out", path, _listed(unknown))
    return found


def _require_folder(data: Path, layout: str = _LAYOUT) -> Path:
    if not data.is_dir():
        raise LearnError(f"there is no {data}; it should be {layout}")
    return data
