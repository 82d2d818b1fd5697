"""A group of duplicates as one row for each file, for tables, plans and pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from glocal.gallery import DuplicateGroup, DuplicateImage
from glocal.ranking.evidence import Verdict


class Action(StrEnum):
    """What a plan proposes for a file; the values are codes, `label` is for people."""

    KEEP = "keep"
    COULD_REMOVE = "could-remove"
    DECIDE = "decide-yourself"

    @property
    def label(self) -> str:
        """The action in words."""
        return self.value.replace("-", " ")


@dataclass(frozen=True, slots=True)
class Row:
    """A file of a group.

    Attributes:
        path: the file.
        image: the image it holds.
        action: what is proposed.
        verdict: its relation to the file that stays, in words.
        copy_probability: probability that one was made from the other.
        reason: why this is proposed.
    """

    path: Path
    image: DuplicateImage
    action: Action
    verdict: str
    copy_probability: float
    reason: str


def rows(group: DuplicateGroup) -> Iterator[Row]:
    """The files of a group, the one to keep first, then identical files, then the others."""
    first = group.images[0]
    best = f"the best of {group.files()}: {first.width} x {first.height}"
    yield Row(first.path, first, Action.KEEP, "", 1.0, best)
    others = [(image, path) for image in group.images for path in image.paths]
    identical = [(i, p) for i, p in others if p != i.path]
    for image, path in sorted(identical, key=lambda pair: pair[1]):
        reason = "the same bytes as another file of the group that stays"
        if image.removable:
            reason = "the same bytes as another file of the group"
        label = Verdict.IDENTICAL_FILE.label
        yield Row(path, image, Action.COULD_REMOVE, label, 1.0, reason)
    for image in group.images[1:]:
        action = Action.COULD_REMOVE if image.removable else Action.DECIDE
        verdict = image.verdict.label if image.verdict else ""
        yield Row(image.path, image, action, verdict, image.copy_probability, _reason(image))


def _reason(image: DuplicateImage) -> str:
    agree = f"{image.inliers} local features agree"
    if image.verdict is Verdict.SAME_OBJECT:
        return f"another photo of the same object or place, {agree}"
    shown = "shown by the kept one" if image.removable else "shows more, or more finely"
    return f"copy, {image.width} x {image.height}, {agree}: {shown}"
