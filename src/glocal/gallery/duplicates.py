"""Groups out of ties between images.

Nothing here reads a file or a store: `glocal.gallery.comparing` finds the ties.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from glocal.gallery.keeping import best_path
from glocal.ranking.evidence import Verdict

__all__ = ["Level", "best_path", "clusters", "components"]

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
    apart: Mapping[T, Collection[T]] = MappingProxyType({}),
) -> list[list[T]]:
    """Split what hangs together where it hangs by a thread.

    The best image takes those tied to it, and then whoever is tied to at least two members; the
    best of what is left does the same, until nobody is left. A walk around a house stays one
    group, and so do copies of copies; an image that happens to show two things does not make one
    group of both. Images that are apart are never in one group, whoever is tied to both.

    Args:
        component: what hangs together.
        tied: the ties within it, in both directions.
        preference: the least is the best; no two are equal.
        apart: for each those that are never in a group with it, in both directions.

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
                if counts[item] >= 2 and members.keys().isdisjoint(apart.get(item, ())):
                    members[item] = None
                    asking.append(item)
        group = [item for item in left if item in members]
        for item in group:
            del left[item]
        if len(group) > 1:
            groups.append(group)
    return groups
