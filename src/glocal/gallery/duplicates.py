"""Groups of images that are copies of one another, and which image of each group to keep.

Nothing here reads a file or a store: `glocal.gallery.comparing` finds the ties between images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np

from glocal.gallery.catalog import Content
from glocal.gallery.results import DuplicateGroup, DuplicateImage, GroupKind, image_fields
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.geometry import project

HELD = 0.8
"""Part of an image's area that must be seen in the kept one for it to be given up."""

FINE = 0.5
"""Pixels with which the kept image shows another, for each pixel that one has itself."""

_GRID = np.stack(np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9)), axis=-1).reshape(-1, 2)
T = TypeVar("T")


class Level(StrEnum):
    """What a group of duplicates is made of.

    `COPY`: identical files and edited, cropped or re-encoded copies. `OBJECT`: other images of
    the same object or place too.
    """

    COPY = "copy"
    OBJECT = "object"

    def allows(self, verdict: Verdict) -> bool:
        """Whether images with this verdict belong together."""
        return verdict in (Verdict.IDENTICAL_FILE, Verdict.COPY) or (
            self is Level.OBJECT and verdict is Verdict.SAME_OBJECT
        )


Ties = Mapping[UUID, Mapping[UUID, Evidence]]
"""For each image those it is tied to; the homography goes from the outer to the inner one."""


def components(pairs: Iterable[tuple[T, T]]) -> list[list[T]]:
    """What hangs together by pairs, however long the chain: union-find with path halving.

    Returns:
        The groups, each in the order in which its members first came.
    """
    parent: dict[T, T] = {}

    def root(item: T) -> T:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, second in pairs:
        one, other = root(first), root(second)
        if one != other:
            parent[other] = one
    groups: dict[T, list[T]] = {}
    for item in parent:
        groups.setdefault(root(item), []).append(item)
    return list(groups.values())


def clusters(
    component: Iterable[T],
    tied: Mapping[T, Iterable[T]],
    preference: Callable[[T], object],
) -> list[list[T]]:
    """Split what hangs together where it hangs by a thread.

    The best image takes those tied to it, and then whoever is tied to at least two members; the
    best of what is left does the same, until nobody is left. A walk around a house stays one
    group, and so do copies of copies; an image that happens to show two things does not make one
    group of both.

    Args:
        component: what hangs together.
        tied: the ties within it, in both directions.
        preference: the least is the best; no two are equal.

    Returns:
        The groups of two or more, each led by its best, the others by preference too.
    """
    left = dict.fromkeys(sorted(component, key=preference))  # type: ignore[arg-type]
    groups = []
    while left:
        first = next(iter(left))
        members = {first: None}
        asking = [first]
        counts: dict[T, int] = {}
        while asking:
            member = asking.pop()
            for item in tied[member]:
                if item in members or item not in left:
                    continue
                counts[item] = counts.get(item, 0) + (2 if member is first else 1)
                if counts[item] >= 2:
                    members[item] = None
                    asking.append(item)
        group = [item for item in left if item in members]
        for item in group:
            del left[item]
        if len(group) > 1:
            groups.append(group)
    return groups


def replaces(kept: Content, other: Content, homography: Sequence[Sequence[float]] | None) -> bool:
    """Whether a kept copy shows nearly all of another one, about as finely.

    Args:
        kept: the image that would stay.
        other: the copy of it that would go.
        homography: from the other to the kept, both in fractions of width and height.
    """
    if homography is None:
        return False
    seen = project(np.asarray(homography, np.float64), _GRID)
    held = float(np.mean(np.all((seen >= -0.02) & (seen <= 1.02), axis=1)))
    corners = project(np.asarray(homography, np.float64), _GRID[[0, 8, 80, 72]])
    x, y = corners.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    pixels = area * kept.width * kept.height
    return held >= HELD and pixels >= FINE * other.width * other.height


def preference(content: Content, files: Sequence[Path]) -> tuple[object, ...]:
    """What is kept: most pixels, most bytes, taken first, the shortest path; less is better."""
    taken = float("inf") if content.taken is None else float(content.taken)
    best = best_path(files)
    return -content.width * content.height, -content.bytes, taken, len(str(best)), str(best)


def best_path(files: Sequence[Path]) -> Path:
    """Of identical files the one to keep: the shortest path."""
    return min(files, key=lambda path: (len(str(path)), str(path)))


def make_group(
    members: Sequence[UUID],
    ties: Ties,
    contents: Mapping[UUID, Content],
    files: Mapping[UUID, Sequence[Path]],
) -> DuplicateGroup:
    """Describe a group.

    Args:
        members: its images, the one to keep first.
        ties: between them.
        contents: what is known of each.
        files: that hold each, at least one.
    """
    first = contents[members[0]]
    kept = DuplicateImage(**_fields(first, files), spare=_spare(files[first.id]))
    others = [_other(contents[member], members, ties, contents, files) for member in members[1:]]
    rank = [Verdict.COPY, Verdict.SAME_OBJECT]
    others.sort(key=lambda image: (rank.index(image.verdict or Verdict.COPY), image.path))
    images = (kept, *others)
    verdicts = {image.verdict for image in others}
    kind = GroupKind.IDENTICAL
    if others:
        kind = GroupKind.SAME_OBJECT if Verdict.SAME_OBJECT in verdicts else GroupKind.COPY
    return DuplicateGroup(kind, images, sum(len(i.spare) * i.bytes for i in images))


def _other(
    content: Content,
    members: Sequence[UUID],
    ties: Ties,
    contents: Mapping[UUID, Content],
    files: Mapping[UUID, Sequence[Path]],
) -> DuplicateImage:
    evidence = _evidence(content.id, members, ties)
    copied = evidence.verdict is Verdict.COPY and members[0] in ties[content.id]
    removable = copied and replaces(contents[members[0]], content, evidence.homography)
    paths = files[content.id]
    return DuplicateImage(
        **_fields(content, files),
        verdict=evidence.verdict,
        same_probability=evidence.same_probability,
        copy_probability=evidence.copy_probability,
        inliers=evidence.inliers,
        removable=removable,
        spare=tuple(sorted(paths)) if removable else _spare(paths),
    )


def _fields(content: Content, files: Mapping[UUID, Sequence[Path]]) -> dict[str, Any]:
    paths = files[content.id]
    return image_fields(content, sorted(paths), best_path(paths))


def _spare(paths: Sequence[Path]) -> tuple[Path, ...]:
    """All files of an image but the one to keep."""
    kept = best_path(paths)
    return tuple(path for path in sorted(paths) if path != kept)


def _evidence(member: UUID, members: Sequence[UUID], ties: Ties) -> Evidence:
    """Of a member's tie to the kept image, or else of its best tie in the group."""
    mine = ties[member]
    if members[0] in mine:
        return mine[members[0]]
    inside = [other for other in members if other in mine]
    return max((mine[other] for other in inside), key=lambda evidence: evidence.same_probability)
