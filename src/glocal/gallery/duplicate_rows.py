"""A group of duplicates as one row for each file, for tables, plans and pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from glocal.gallery.results import DuplicateGroup, DuplicateImage
from glocal.ranking.evidence import Verdict


class Action(StrEnum):
    """What a plan proposes for a file; the values are codes, `label` is for people."""

    KEEP = "keep"
    COULD_REMOVE = "could-remove"
    DECIDE = "decide-yourself"
    LINK = "link"
    CHANGED = "changed"

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
        probability: of the verdict; `None` where there is none, and of identical files, which are
            certain.
    """

    path: Path
    image: DuplicateImage
    action: Action
    verdict: str
    copy_probability: float
    reason: str
    probability: float | None = None


def rows(group: DuplicateGroup) -> Iterator[Row]:
    """The files of a group, the one to keep first, then identical files, then the others.

    Where nothing is clear there is none to keep, and all are for a person to decide about. Last
    come links, and names under which the gallery knows something that is no longer there.
    """
    first = group.images[0]
    best = f"{first.width} x {first.height}"
    action = Action.DECIDE if group.undecided else Action.KEEP
    yield Row(first.path, first, action, "", 1.0, f"{first.reason or 'the best'}: {best}")
    others = [(image, path) for image in group.images for path in image.paths]
    identical = [(i, p) for i, p in others if p != i.path]
    for image, path in sorted(identical, key=lambda pair: pair[1]):
        label = Verdict.IDENTICAL_FILE.label
        if path not in image.spare:
            reason = "the same bytes, but other names lead to it or other files belong to it"
            yield Row(path, image, Action.DECIDE, label, 1.0, reason)
            continue
        reason = "the same bytes as another file of the group that stays"
        if image.path in image.spare:
            reason = "the same bytes as another file of the group"
        yield Row(path, image, Action.COULD_REMOVE, label, 1.0, reason)
    for image in group.images[1:]:
        action = Action.COULD_REMOVE if image.path in image.spare else Action.DECIDE
        verdict = image.verdict.label if image.verdict else ""
        copied, same = image.copy_probability, image.same_probability
        shown = copied if image.verdict is Verdict.COPY else same
        yield Row(image.path, image, action, verdict, copied, _reason(image), shown)
    for image in group.images:
        for path in image.links:
            yield Row(path, image, Action.LINK, "", 1.0, "another name of a file, and no copy")
        for path in image.changed:
            yield Row(path, image, Action.CHANGED, "", 1.0, "no longer what was indexed there")


def edits_in_words(image: DuplicateImage) -> str:
    """What was done to make it, such as ``resized, grey``."""
    return ", ".join(edit.kind.label for edit in image.edits)


def _reason(image: DuplicateImage) -> str:
    agree = f"{image.inliers} local features agree"
    if image.verdict is Verdict.SAME_OBJECT:
        places = len(image.differing)
        differ = f", differs in {places} place{'s' * (places != 1)}" if places else ""
        return f"another photo of the same object or place, {agree}{differ}"
    done = "; ".join(f"{edit.kind.label} ({edit.evidence})" for edit in image.edits)
    said = f"copy, {image.width} x {image.height}"
    for more in (done, f"holds {image.holds}" if image.holds else "", image.reason):
        said += f"; {more}" if more else ""
    return said
