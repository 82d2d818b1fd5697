"""When a region that was read is read once more, in the frame of the points that agree."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from glocal.gallery.read_regions import ReadRegions
from glocal.gallery.region_verification import RegionVerifier
from glocal.gallery.verifier import Verified, Verifier
from glocal.ranking.calibration import Calibration, calibration_for
from glocal.ranking.evidence import Verdict
from glocal.ranking.verification import Verification

Box = tuple[float, float, float, float]
BOX: Box = (0.2, 0.2, 0.4, 0.4)
PART: Box = (0.3, 0.3, 0.2, 0.2)
NONE = np.empty((0, 2), np.float32)


def calibration() -> Calibration:
    found = calibration_for("xfeat")
    assert found is not None
    return found


def outcome(frame: Box, *, support: float = 30.0, agreement: float = 0.6) -> Verified:
    """Points that agree, all of them in a frame, and prove too little."""
    x, y, width, height = frame
    homography = np.array([[width, 0, x], [0, height, y], [0, 0, 1.0]])
    found = Verification(40, 20, support, 0.5, agreement, homography, NONE, NONE)
    return Verified(replace(calibration().evaluate(found, 0.2), verdict=Verdict.SIMILAR), found)


def boxes_read(monkeypatch: pytest.MonkeyPatch, first: Verified) -> list[Box]:
    """The boxes that are read where this is what the first of them gives."""
    read: list[Box] = []

    def read_once(*arguments: object) -> Verified:
        read.append(arguments[-1])  # type: ignore[arg-type]
        return first

    monkeypatch.setattr(RegionVerifier, "_read_once", read_once)
    verifier = Verifier(None, None, calibration())  # type: ignore[arg-type]
    regions = RegionVerifier(verifier, None, ReadRegions())  # type: ignore[arg-type]
    regions._read(None, None, None, UUID(int=1), BOX)  # type: ignore[arg-type]
    return read


def test_what_the_points_frame_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert boxes_read(monkeypatch, outcome(PART)) == [BOX, pytest.approx(PART)]


@pytest.mark.parametrize(
    "first",
    [
        outcome((0.21, 0.21, 0.39, 0.39)),
        outcome(PART, agreement=0.2),
        outcome(PART, support=1.0),
        replace(outcome(PART), evidence=replace(outcome(PART).evidence, verdict=Verdict.COPY)),
    ],
    ids=["what was read", "few points agree", "no more than chance", "a match"],
)
def test_nothing_is_read_again_from_which_nothing_can_come(
    first: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert boxes_read(monkeypatch, first) == [BOX]
