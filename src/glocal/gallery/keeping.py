"""Which of several copies stays, and why.

One copy may go only beside another that is as good in every respect and better in one, or the same
to the pixel. Where each has something that the other lacks, or where it cannot be told which was
made from which, a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glocal.gallery.catalog import Content
from glocal.gallery.edits import WHOLE, geometry
from glocal.gallery.holdings import Holding
from glocal.gallery.originals import Originals
from glocal.gallery.traits import Traits
from glocal.ranking.pixels import Comparison

_PASSING = frozenset(
    ("incoming", "inbox", "download", "downloads", "temp", "tmp", "trash", "unsorted", "import")
)
_ASPECTS = (1.0, 5 / 4, 4 / 3, 7 / 5, 3 / 2, 16 / 10, 16 / 9, 1.414)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy that could stay.

    Attributes:
        content: the image.
        traits: what its file says.
        files: that hold it, one name each.
        preferred: whether one of them lies in a preferred folder.
    """

    content: Content
    traits: Traits
    files: tuple[Path, ...]
    preferred: bool = False


@dataclass(slots=True)
class Reasons:
    """What speaks for keeping one of two copies.

    Attributes:
        kept: for the one that would stay.
        other: for the one that would go.
        unclear: what cannot be told.
    """

    kept: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    def add(self, kept: bool, other: bool, reason: str) -> None:
        """Note that one of both has something that the other one lacks."""
        if kept != other:
            (self.kept if kept else self.other).append(reason)

    @property
    def decided(self) -> bool:
        """Whether the one that would stay is better and the other one in nothing."""
        return bool(self.kept) and not self.other and not self.unclear


def rank(candidate: Candidate) -> tuple[object, ...]:
    """By which copies are ordered before they are compared with one another; less is better."""
    content, traits = candidate.content, candidate.traits
    known = sum(value is not None for value in (content.taken, content.camera, content.latitude))
    taken = float("inf") if content.taken is None else float(content.taken)
    best = best_path(candidate.files)
    return (
        traits.held.alone,
        not traits.coloured,
        not traits.transparent,
        -known,
        -content.width * content.height,
        traits.palette,
        not traits.lossless,
        -(traits.quality or 0),
        not candidate.preferred,
        taken,
        *_tidiness(best),
    )


def best_path(files: Sequence[Path], prefer: Sequence[Path] = ()) -> Path:
    """Of files with the same bytes the one to keep.

    One in a preferred folder; not one whose name is no text, that waits in a folder for passing
    things, nor a numbered copy; then the older one by its name alone, which is the shorter and the
    first.
    """
    return min(files, key=lambda path: (not lies_in(path, prefer), *_tidiness(path)))


def lies_in(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a file lies in or below one of these folders."""
    return any(path.is_relative_to(folder) for folder in folders)


def weigh(
    kept: Candidate, other: Candidate, comparison: Comparison, originals: Originals
) -> Reasons:
    """What speaks for either of two copies.

    Args:
        kept: the one that would stay.
        other: the one that would go.
        comparison: from the other one to the kept one.
        originals: read once more where it has to be seen whether one was enlarged.
    """
    reasons = Reasons()
    mine, theirs = kept.traits, other.traits
    _weigh_holdings(mine, theirs, reasons)
    reasons.add(mine.coloured, theirs.coloured, "has colours")
    reasons.add(mine.transparent, theirs.transparent, "is transparent in places")
    _weigh_colours(mine, theirs, reasons)
    _weigh_frame(comparison, reasons)
    if comparison.share > 0:
        if comparison.overlaid:
            bare = comparison.overlaid == "first"
            reasons.add(bare, not bare, "has nothing laid over it")
        reasons.unclear.append("they differ in places")
    elif comparison.change > 6 and not (comparison.first_grey or comparison.second_grey):
        reasons.unclear.append("colours were changed")
    if not comparison.closely:
        reasons.unclear.append("they were not compared at full size")
    _weigh_facts(kept.content, other.content, reasons)
    _weigh_notes(mine, theirs, reasons)
    camera = kept.content.camera is not None, other.content.camera is not None
    _weigh_shape(kept, other, comparison, camera, reasons)
    larger = _weigh_size(kept, other, comparison, originals, reasons)
    one_grey = mine.coloured != theirs.coloured
    if larger is None and comparison.share == 0 and not one_grey:
        _weigh_encoding(kept, other, comparison, originals, reasons)
    reasons.add(kept.preferred, other.preferred, "lies in a preferred folder")
    same = comparison.exact and kept.content.width == other.content.width
    if same and not (reasons.kept or reasons.other or reasons.unclear):
        reasons.kept.append("the same pixels")
    return reasons


def _weigh_holdings(mine: Traits, theirs: Traits, reasons: Reasons) -> None:
    if theirs.films:
        reasons.other.append("a film or note beside it belongs to it")
    if theirs.held.alone and mine.held.alone:
        return
    if not theirs.held.alone:
        reasons.other.append(f"holds {theirs.held}")
    elif mine.held.kind in (Holding.IMAGES, Holding.FILM):
        reasons.kept.append(f"holds {mine.held}")
    else:  # which of its pages was compared, and how well it is kept there, is not certain
        reasons.unclear.append(f"the kept file holds {mine.held}")


def _weigh_colours(mine: Traits, theirs: Traits, reasons: Reasons) -> None:
    """Levels and colours that a screen does not show, and that a re-save loses."""
    reasons.add(mine.deep, theirs.deep, "has more levels in each channel")
    if mine.colours and theirs.colours and mine.colours != theirs.colours:
        reasons.unclear.append(f"colours as {mine.colours} here, as {theirs.colours} there")
    for one, other, better in (
        (mine, theirs, reasons.kept),
        (theirs, mine, reasons.other),
    ):
        if one.colours and not other.colours:
            better.append(f"has its colours as {one.colours}")


def _weigh_frame(comparison: Comparison, reasons: Reasons) -> None:
    """What one shows beyond the other one."""
    if comparison.second_shown < WHOLE:
        if comparison.second_rest_flat:
            reasons.other.append("has no border")
        else:
            reasons.kept.append("shows more")
    if comparison.first_shown < WHOLE:
        if comparison.first_rest_flat:
            reasons.kept.append("has no border")
        else:
            reasons.other.append("shows more")


def _weigh_facts(kept: Content, other: Content, reasons: Reasons) -> None:
    for name, mine, theirs in (
        ("its date", kept.taken, other.taken),
        ("its camera", kept.camera, other.camera),
        ("its place", kept.latitude, other.latitude),
    ):
        reasons.add(mine is not None, theirs is not None, f"knows {name}")
        if mine is not None and theirs is not None and mine != theirs:
            reasons.unclear.append(f"each says something else of {name}")


def _weigh_notes(mine: Traits, theirs: Traits, reasons: Reasons) -> None:
    """What people wrote into a file, and what the camera wrote beyond date, camera and place."""
    for what, ours, others in (
        ("has notes", mine.notes, theirs.notes),
        ("tells more of how it was taken", mine.details, theirs.details),
    ):
        if others - ours:
            reasons.other.append(what)
        elif ours - others:
            reasons.kept.append(what)


def _weigh_shape(
    kept: Candidate,
    other: Candidate,
    comparison: Comparison,
    camera: tuple[bool, bool],
    reasons: Reasons,
) -> None:
    """Proportions and uprightness: one is the original's, and the camera's file knows it."""
    lies = geometry(comparison, other.content, kept.content)
    if lies.stretch > 1.02:
        if camera[0] != camera[1]:
            reasons.add(*camera, "has the original proportions")
        else:
            usual = _usual(kept.content), _usual(other.content)
            if usual[0] != usual[1]:
                reasons.add(*usual, "has the original proportions")
            else:
                reasons.unclear.append("one is stretched")
    if abs(lies.degrees) > 0.4 or lies.mirrored:
        what = "is not mirrored" if lies.mirrored else "is not rotated"
        if camera[0] != camera[1]:
            reasons.add(*camera, what)
        else:
            reasons.unclear.append("one is mirrored" if lies.mirrored else "one is rotated")


def _usual(content: Content) -> bool:
    """Whether an image has one of the proportions of cameras, screens or paper."""
    aspect = max(content.width, content.height) / min(content.width, content.height)
    return any(abs(aspect / usual - 1) < 0.006 for usual in _ASPECTS)


def _weigh_size(
    kept: Candidate,
    other: Candidate,
    comparison: Comparison,
    originals: Originals,
    reasons: Reasons,
) -> bool | None:
    """Who has more pixels for the same thing, if these are real; `None` where both have as many."""
    lies = geometry(comparison, other.content, kept.content)
    scale = lies.scale
    if 0.98 <= scale <= 1.02:
        return None
    if lies.stretch > 1.02 and lies.low < 1.02 and lies.high > 0.98:
        return True  # what one has more across, it has by having been stretched
    larger = scale > 1
    one = kept if larger else other
    fine = originals.shows_detail(one.content, scale if larger else 1 / scale)
    if fine is None:
        reasons.unclear.append("the larger one may have been enlarged")
    elif fine:
        reasons.add(larger, not larger, "is finer")
    else:
        reasons.add(not larger, larger, "was not enlarged")
    return larger


def _weigh_encoding(
    kept: Candidate,
    other: Candidate,
    comparison: Comparison,
    originals: Originals,
    reasons: Reasons,
) -> None:
    """How well pixels of the same number are kept; what was made of what is not kept better."""
    mine, theirs = kept.traits, other.traits
    reasons.add(not mine.palette, not theirs.palette, "has all its colours")
    if comparison.exact and mine.lossless == theirs.lossless:
        return
    if not 0.7 < comparison.sharper < 1.4:
        reasons.unclear.append("one was sharpened or blurred")
    elif comparison.change > 2 and not (comparison.first_grey or comparison.second_grey):
        reasons.unclear.append("colours were changed a little")
    elif comparison.first_shown < WHOLE or comparison.second_shown < WHOLE:
        if not _no_worse(mine, theirs, kept.content, other.content):
            reasons.unclear.append("which one was saved last cannot be seen")
    elif not (mine.palette or theirs.palette):
        first = originals.was_first(kept.content.id, other.content.id)
        if first is None:
            reasons.unclear.append("which one was made from the other cannot be seen")
        else:
            reasons.add(first, not first, "the other one was made from it")


def _no_worse(mine: Traits, theirs: Traits, kept: Content, other: Content) -> bool:
    """Whether a file is kept no worse than what was cut out of it, by what their files say."""
    if mine.lossless or (kept.camera is not None and other.camera is None):
        return True
    return mine.quality is not None and (theirs.quality or 100) <= mine.quality


def _tidiness(path: Path) -> tuple[bool, int, int, str]:
    # A name whose bytes are no text is hard to open for most programs.
    illegible = any("\udc80" <= letter <= "\udcff" for letter in str(path))
    passing = sum(part.casefold() in _PASSING for part in path.parts[:-1])
    name = path.stem.casefold()
    numbered = name.endswith(")") or "copy" in name or "kopie" in name
    return illegible, passing + numbered, len(str(path)), str(path)
