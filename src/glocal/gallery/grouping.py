"""A group of duplicates: which of its images stays, which could go, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from glocal.gallery.catalog import Content
from glocal.gallery.edits import edits
from glocal.gallery.holdings import companions
from glocal.gallery.keeping import Candidate, Reasons, best_path, lies_in, rank, weigh
from glocal.gallery.originals import Originals
from glocal.gallery.results import DuplicateGroup, DuplicateImage, GroupKind, image_fields
from glocal.gallery.same_files import Disk, Holders
from glocal.gallery.traits import UNREAD
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import Comparison

_TRIED = 8
"""How many images of a group, the best by what their files say, are tried as the one to keep."""


@dataclass(slots=True)
class Grouper:
    """Describes groups.

    Args:
        ties: for each image those it is tied to; the homography goes from the outer to the inner.
        comparisons: of the pixels of tied images, in both directions, where they were compared.
        contents: what is known of each image.
        holders: the files that hold each.
        disk: looks at them again.
        originals: reads them.
        prefer: folders whose files are rather kept.
        chosen: images that a person has decided to keep; none of them is ever spare.
        apart: for each image those that a person has decided are no duplicates of it.
    """

    ties: Mapping[UUID, Mapping[UUID, Evidence]]
    comparisons: Mapping[tuple[UUID, UUID], Comparison]
    contents: Mapping[UUID, Content]
    holders: dict[UUID, Holders]
    disk: Disk
    originals: Originals
    prefer: Sequence[Path] = ()
    chosen: frozenset[UUID] = frozenset()
    apart: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)
    _weighed: dict[tuple[UUID, UUID], Reasons] = field(default_factory=dict)

    def rank(self, member: UUID) -> tuple[object, ...]:
        """By which images are ordered before they are compared with one another; less is better."""
        # Who has most copies leads, so that no copy of a copy is left alone.
        copies = sum(tie.verdict is Verdict.COPY for tie in self.ties.get(member, {}).values())
        return member not in self.chosen, -copies, *rank(self._candidate(member)), member

    def group(self, members: Sequence[UUID]) -> DuplicateGroup | None:
        """Describe a group; `None` if less than two files of it are left.

        Args:
            members: its images, the best by `rank` first.

        Before anything is called spare, it and what stays are read once more.
        """
        while True:
            left = [member for member in members if self.holders[member].files]
            if sum(len(self.holders[member].files) for member in left) < 2:
                return None
            described = self._described(left)
            gone = self._gone(described)
            if not gone:
                return described
            for member, path in gone:
                self.holders[member] = self.holders[member].without([path])

    def _gone(self, group: DuplicateGroup) -> list[tuple[UUID, Path]]:
        """Files that do not hold what the catalogue says, as far as they matter or were read."""
        files = [(UUID(hex=image.id), path) for image in group.images for path in image.paths]
        spare = [(UUID(hex=image.id), path) for image in group.images for path in image.spare]
        resting = [(UUID(hex=group.images[0].id), group.kept), *spare] if spare else []
        gone = [(i, path) for i, path in files if self.disk.differs(path, i)]
        return gone or [(i, path) for i, path in resting if not self.disk.still_holds(path, i)]

    def _candidate(self, member: UUID) -> Candidate:
        files = self.holders[member].files
        tied = self.ties.get(member, {})
        copied = any(evidence.verdict is Verdict.COPY for evidence in tied.values())
        traits = self.originals.traits(member) if copied else None
        preferred = any(lies_in(path, self.prefer) for path in files)
        return Candidate(self.contents[member], traits or UNREAD, files, preferred)

    def _reasons(self, kept: UUID, other: UUID) -> Reasons:
        """What speaks for either; they are tied as copies."""
        if (kept, other) not in self._weighed:
            reasons = weigh(
                self._candidate(kept),
                self._candidate(other),
                self.comparisons[other, kept],
                self.originals,
            )
            if other in self.chosen:
                reasons.other.append("you decided to keep it")
            # Whoever is a copy of both of two images that are none of each other misleads.
            if any(
                self._copied(one, third)
                for one, two in ((kept, other), (other, kept))
                for third in self.apart.get(two, ())
            ):
                reasons.unclear.append("you decided that another copy of it is no duplicate")
            self._weighed[kept, other] = reasons
        return self._weighed[kept, other]

    def _copied(self, one: UUID, other: UUID) -> bool:
        tie = self.ties.get(one, {}).get(other)
        return tie is not None and tie.verdict is Verdict.COPY and (one, other) in self.comparisons

    def _kept(self, members: Sequence[UUID]) -> UUID:
        """The image that beats most others and is beaten by fewest; of equals the first."""
        if members[0] in self.chosen:
            return members[0]

        def balance(one: UUID) -> int:
            total = 0
            for other in members:
                if other != one and self._copied(one, other):
                    mine = self._reasons(one, other)
                    total += 3 * mine.decided - 3 * self._reasons(other, one).decided
                    total += (len(mine.kept) > len(mine.other)) - (len(mine.kept) < len(mine.other))
            return total

        return max(members[:_TRIED], key=balance)

    def _described(self, members: Sequence[UUID]) -> DuplicateGroup:
        kept = self._kept(members)
        others = [self._other(kept, member, members) for member in members if member != kept]
        order = [Verdict.COPY, Verdict.SAME_OBJECT]
        others.sort(key=lambda image: (order.index(image.verdict or Verdict.COPY), image.path))
        verdicts = {image.verdict for image in others}
        kind = GroupKind.IDENTICAL
        if others:
            kind = GroupKind.SAME_OBJECT if Verdict.SAME_OBJECT in verdicts else GroupKind.COPY
        spare = self._spare(kept, removable=False)
        images = (
            DuplicateImage(**self._fields(kept), spare=spare, reason=self._why_kept(kept, members)),
            *others,
        )
        freed = sum(
            self.holders[UUID(hex=image.id)].sizes[path] for image in images for path in image.spare
        )
        return DuplicateGroup(kind, images, freed)

    def _other(self, kept: UUID, other: UUID, members: Sequence[UUID]) -> DuplicateImage:
        mine = self.ties[other]
        evidence = mine.get(kept)
        if evidence is None:
            inside = [mine[member] for member in members if member in mine]
            evidence = max(inside, key=lambda tie: tie.same_probability)
        comparison = self.comparisons.get((other, kept))
        more: dict[str, Any] = {}
        removable = False
        if self._copied(other, kept) and comparison is not None:
            reasons = self._reasons(kept, other)
            # Whoever decided to keep two copies wants both.
            removable = reasons.decided and other not in self.chosen
            reason = "you decided to keep it" if other in self.chosen else _words(reasons)
            one, two = self._candidate(other), self._candidate(kept)
            more = {
                "edits": edits(comparison, one.content, two.content, one.traits, two.traits),
                "differing": comparison.differing,
            }
        elif evidence.verdict is Verdict.COPY:
            reason = "a copy of another image of this group, not compared with the kept one"
        else:
            reason = "another photo of the same object or place"
            if comparison is not None and comparison.differing:
                more = {"differing": comparison.differing}
        return DuplicateImage(
            **self._fields(other),
            verdict=evidence.verdict,
            same_probability=evidence.same_probability,
            copy_probability=evidence.copy_probability,
            inliers=evidence.inliers,
            removable=removable,
            spare=self._spare(other, removable=removable),
            reason=reason,
            **more,
        )

    def _why_kept(self, kept: UUID, members: Sequence[UUID]) -> str:
        if kept in self.chosen:
            return "you decided to keep it"
        copies = [other for other in members if other != kept and self._copied(kept, other)]
        found: dict[str, None] = {}
        for other in copies:
            found.update(dict.fromkeys(self._reasons(kept, other).kept))
        if found:
            return ", ".join(found)
        if copies:
            return "the first of those between which you decide"
        if self.ties.get(kept) and len(members) > 1:
            return "the best of its group by size and facts"
        return "one of several files with the same bytes"

    def _fields(self, member: UUID) -> dict[str, Any]:
        held = self.holders[member]
        candidate = self._candidate(member)
        return image_fields(self.contents[member], held.files, self._best(member)) | {
            "links": held.links,
            "changed": held.changed,
            "holds": "" if candidate.traits.held.alone else str(candidate.traits.held),
            "chosen": member in self.chosen,
        }

    def _best(self, member: UUID) -> Path:
        """Of the files of an image the one to keep: the one that could go least."""
        held = self.holders[member]
        files = [path for path in held.files if companions(path)] or list(held.files)
        files = [path for path in files if path in held.hard] or files
        return best_path(files, self.prefer)

    def _spare(self, member: UUID, *, removable: bool) -> tuple[Path, ...]:
        """Files of an image that could go: not those that free nothing or that others belong to."""
        held, kept = self.holders[member], self._best(member)
        return tuple(
            path
            for path in held.files
            if (removable or path != kept) and path not in held.hard and not companions(path)
        )


def _words(reasons: Reasons) -> str:
    """Why an image could go, or what it has that the kept one lacks."""
    if reasons.decided:
        return "the kept one: " + ", ".join(reasons.kept)
    said = []
    if reasons.other:
        said.append("this one: " + ", ".join(reasons.other))
    if reasons.kept:
        said.append("the kept one: " + ", ".join(reasons.kept))
    if reasons.unclear:
        said.append("not clear: " + ", ".join(reasons.unclear))
    return "; ".join(said) or "neither is clearly better"
