"""The images a model is trained with: folders of labels, tables, or plain folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from glocal.errors import EvaluationError, LearnError
from glocal.evaluate.datasets.listing import images_below, read_table
from glocal.images import has_image_suffix

Split = Literal["train", "validation"]

_SPLITS: dict[str, Split] = {
    "": "train",
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_HELD_OUT = 10  # one of so many images is held out where nobody says which
_MOST_HELD_OUT = 400  # more would only make each judgement slower
_LAYOUT = (
    "a folder with a folder of images for each label, or a table with the columns path and "
    "label, and split where train and val are told apart"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        path: of its file.
        label: what it shows; None where nobody says.
        split: whether the model learns from it or is judged by it.
        source: number of the data set it came from: 0 is the first.
    """

    path: Path
    label: str | None = None
    split: Split = "train"
    source: int = 0


def read_labelled(data: Path) -> list[Sample]:
    """Labelled images, in the order of the table or sorted by path.

    Args:
        data: a folder with a folder for each label, or a CSV file whose paths count from where it
            lies. In the column ``split``, train or an empty field is learned from, val judged by,
            and anything else, such as test, is not touched.

    Raises:
        LearnError: there is nothing of the kind.
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
            f"{data} has no labels: it should be {_LAYOUT}."
            + (" To train without labels, use --objective instance" if loose else "")
        )
    return found


def read_unlabelled(data: Path, source: int) -> list[Sample]:
    """Every image below a folder, sorted by path, or those of a table; labels do not count.

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
        raise LearnError(f"there is no image below {data}")
    return [Sample(path, source=source) for path in paths]


def without_twins(samples: Iterable[Sample]) -> list[Sample]:
    """Each file once: as it came first."""
    seen: dict[Path, Sample] = {}
    for sample in samples:
        seen.setdefault(sample.path.resolve(), sample)
    return list(seen.values())


def hold_out(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Choose images to judge by, where the data set has not done so.

    Of labelled images, from each label with six or more a tenth, at least two, so that they can
    find each other; of others a tenth in all; never more than 400 of a kind.

    Args:
        samples: with none held out; returned as they are if there are some.
        seed: of the choice.
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
    """See whether there is something to learn from labels.

    Raises:
        LearnError: fewer than two labels, or labels with a single image; the text names them.
    """
    counts = Counter(s.label for s in samples if s.label is not None and s.split == "train")
    if len(counts) < 2:
        there = f"only {next(iter(counts))!r}" if counts else "none"
        raise LearnError(f"labels have to differ to be learned: there is {there}; give two or more")
    single = sorted(str(label) for label, count in counts.items() if count == 1)
    if single:
        named = ", ".join(single[:5]) + (" and others" if len(single) > 5 else "")
        raise LearnError(
            f"{len(single)} of {len(counts)} labels have one image to learn from: {named}. "
            "Nothing can be found that there is one of: add images, or leave these labels out"
        )


def _from_table(path: Path) -> list[Sample]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = [name.strip() for name in file.readline().split(",")]
    columns = [("path",), ("label",), ("split",)]
    wanted = columns if "split" in header else columns[:2]
    found = []
    for _, (name, label, *rest) in read_table(path, wanted):
        split = _SPLITS.get(rest[0].lower() if rest else "")
        if split:
            found.append(Sample(path.parent / name, label or None, split))
    if not found:
        raise LearnError(f"{path} names no image to learn from")
    return found


def _require_folder(data: Path, layout: str = _LAYOUT) -> Path:
    if not data.is_dir():
        raise LearnError(f"there is no {data}: it should be {layout}")
    return data
