"""What was done to an image to make another of it, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from glocal.gallery.catalog import Content
    from glocal.gallery.traits import Traits
    from glocal.ranking.pixels import Comparison

WHOLE = 0.985
"""Part of an image from which all of it is shown; less than a line of a hundred is missing."""


class EditKind(StrEnum):
    """A kind of edit; the values are codes for programs, `label` is for people."""

    RE_ENCODED = "re-encoded"
    RESIZED = "resized"
    CROPPED = "cropped"
    SHOWS_MORE = "shows-more"
    ROTATED = "rotated"
    MIRRORED = "mirrored"
    STRETCHED = "stretched"
    COLOURS_CHANGED = "colours-changed"
    GREY = "grey"
    BLURRED = "blurred"
    SHARPENED = "sharpened"
    BORDERED = "bordered"
    OVERLAID = "overlaid"
    COLLAGE = "collage"

    @property
    def label(self) -> str:
        """The kind in words."""
        return self.value.replace("-", " ")


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that was done.

    Attributes:
        kind: what.
        evidence: by what it is seen, in words.
    """

    kind: EditKind
    evidence: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """How one image lies in another.

    Attributes:
        scale: pixels of the kept image for each of the other one, along a side.
        low: the smaller of the scales in both directions.
        high: the larger one.
        degrees: by which the other one is turned against the kept one, in (-180, 180].
        mirrored: whether it is mirrored.
    """

    scale: float
    low: float
    high: float
    degrees: float
    mirrored: bool

    @property
    def stretch(self) -> float:
        """The larger of both scales by the smaller one, at least 1."""
        return self.high / max(self.low, 1e-9)


def geometry(comparison: Comparison, other: Content, kept: Content) -> Geometry:
    """How an image lies in the kept one; the comparison goes from it to the kept one."""
    h = comparison.homography
    point = h @ (0.5, 0.5, 1.0)
    x, y = point[:2] / point[2]
    rows = (h[:2, :2] - np.outer((x, y), h[2, :2])) / point[2]
    jacobian = (
        np.diag([kept.width, kept.height]) @ rows @ np.diag([1 / other.width, 1 / other.height])
    )
    large, small = np.linalg.svd(jacobian, compute_uv=False)
    mirrored = bool(np.linalg.det(jacobian) < 0)
    turn = jacobian @ np.diag([-1.0, 1.0]) if mirrored else jacobian
    degrees = -float(np.degrees(np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])))
    scale = float(np.sqrt(large * small))
    return Geometry(scale, float(small), float(large), degrees, mirrored)


def edits(
    comparison: Comparison, other: Content, kept: Content, traits: Traits, kept_traits: Traits
) -> tuple[Edit, ...]:
    """What makes an image differ from the kept one.

    Args:
        comparison: from the image to the kept one.
        other: the image.
        kept: the one that stays.
        traits: of the image.
        kept_traits: of the one that stays.
    """
    found = []
    lies = geometry(comparison, other, kept)
    if lies.mirrored:
        found.append(Edit(EditKind.MIRRORED, "left and right are exchanged"))
    if abs(lies.degrees) > 0.4:
        found.append(Edit(EditKind.ROTATED, f"by {lies.degrees:+.0f} degrees"))
    if lies.stretch > 1.02:
        found.append(Edit(EditKind.STRETCHED, f"by {100 * (lies.stretch - 1):.0f} %"))
    found += _frame(comparison)
    if comparison.overlaid == "first":
        count = len(comparison.differing)
        found.append(Edit(EditKind.OVERLAID, f"{count} place{'s' * (count != 1)} covered"))
    if comparison.first_grey:
        found.append(Edit(EditKind.GREY, "it has lost its colours"))
    elif comparison.change > 6:
        found.append(
            Edit(EditKind.COLOURS_CHANGED, f"by {comparison.change:.0f} of 255 levels on average")
        )
    if comparison.sharper < 0.7:
        found.append(Edit(EditKind.BLURRED, f"{100 * comparison.sharper:.0f} % of the fine detail"))
    elif comparison.sharper > 1.4:
        found.append(Edit(EditKind.SHARPENED, f"{comparison.sharper:.1f} times the fine detail"))
    if not 0.98 <= lies.scale <= 1.02:
        size = f"{other.width} x {other.height} against {kept.width} x {kept.height}"
        found.append(Edit(EditKind.RESIZED, size))
    if not found:
        found.append(Edit(EditKind.RE_ENCODED, _encodings(comparison, traits, kept_traits)))
    return tuple(found)


def _frame(comparison: Comparison) -> list[Edit]:
    found = []
    if comparison.second_shown < WHOLE and not comparison.second_rest_flat:
        part = 100 * comparison.second_shown
        found.append(Edit(EditKind.CROPPED, f"shows {part:.0f} % of the kept image"))
    if comparison.first_shown < WHOLE:
        part = 100 * (1 - comparison.first_shown)
        if comparison.first_rest_flat:
            found.append(Edit(EditKind.BORDERED, f"{part:.0f} % of it are a plain border"))
        elif comparison.second_shown >= WHOLE and comparison.first_shown < 0.8:
            found.append(Edit(EditKind.COLLAGE, f"{part:.0f} % of it are something else"))
        else:
            found.append(Edit(EditKind.SHOWS_MORE, f"{part:.0f} % are not in the kept image"))
    return found


def _encodings(comparison: Comparison, traits: Traits, kept: Traits) -> str:
    if comparison.exact:
        return "the same pixels in another file"
    one, two = (
        t.format if t.quality is None else f"{t.format} of quality {t.quality}"
        for t in (traits, kept)
    )
    return f"{one} against {two}" if one != two else f"{one} saved again"
