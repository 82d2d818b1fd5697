"""Calibration: from counts to probabilities and verdicts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.encoders import EncoderDetector, load_encoder
from glocal.errors import RankingError
from glocal.ranking.agreement import Agreement
from glocal.ranking.calibration import (
    Calibration,
    Logistic,
    calibration_for,
    calibrations,
    write_calibration,
)
from glocal.ranking.evidence import Verdict
from glocal.ranking.verification import Settings, Verification

NOWHERE = np.empty((0, 2), np.float32)
PLAIN = Calibration(
    settings=Settings(0.5, 0.04),
    min_score=25.0,
    floor=2.0,
    per_match=0.1,
    order_weight=0.3,
    same=Logistic(-6.0, (2.0, 0.0, 0.0, 1.0, 1.0)),
    copy=Logistic(-12.0, (2.0, 0.0, 1.0, 6.0, 1.0)),
    same_from=0.9,
    copy_from=0.9,
)


def found(inliers: int, matches: int, agreement: float = 0.3) -> Verification:
    homography = np.eye(3) if inliers else None
    return Verification(
        matches, inliers, 0.8 * inliers, 0.5, agreement, homography, NOWHERE, NOWHERE
    )


def test_logistic_is_the_textbooks():
    model = Logistic(-1.0, (2.0, 0.5))
    assert model((1.0, 2.0)) == pytest.approx(1 / (1 + np.exp(-(-1 + 2 + 1))))
    assert 0 < model((-1e9, 0)) < model((1e9, 0)) < 1


def test_excess_is_what_chance_does_not_give():
    assert PLAIN.excess(found(40, 50)) == pytest.approx(32 - 2 - 5)
    assert PLAIN.excess(found(5, 60)) == 0
    assert PLAIN.excess(found(0, 0)) == 0


@pytest.mark.parametrize(
    ("seen", "identical", "verdict"),
    [
        (found(0, 40), False, Verdict.SIMILAR),
        (found(0, 40), True, Verdict.IDENTICAL_FILE),
        (found(7, 40), False, Verdict.SIMILAR),
        (found(60, 70, 0.3), False, Verdict.SAME_OBJECT),
        (found(120, 128, 1.0), False, Verdict.COPY),
    ],
)
def test_verdicts(seen, identical, verdict):
    evidence = PLAIN.evaluate(seen, 0.8, identical=identical)
    assert evidence.verdict is verdict
    assert (evidence.inliers, evidence.matches) == (seen.inliers, seen.matches)
    assert (evidence.homography is None) == (seen.homography is None)
    if identical:
        assert evidence.same_probability == evidence.copy_probability == 1


def test_without_a_map_nothing_is_the_same_however_alike():
    sure = replace(
        PLAIN, same=Logistic(9.0, (0, 0, 0, 0, 9.0)), copy=Logistic(9.0, (0, 0, 0, 0, 9.0))
    )
    assert sure.evaluate(found(0, 90), 1.0).verdict is Verdict.SIMILAR


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 200)), max_size=20))
def test_evidence_only_raises_and_nothing_changes_nothing(rows):
    scores, excesses = (
        (np.array(column) for column in zip(*rows, strict=True))
        if rows
        else (
            np.empty(0),
            np.empty(0),
        )
    )
    combined = PLAIN.combine(scores, excesses)
    assert np.all(combined >= scores)
    np.testing.assert_array_equal(PLAIN.combine(scores, 0 * excesses), scores)
    for score, excess, after in zip(scores, excesses, combined, strict=True):
        assert after == pytest.approx(score + 0.3 * np.log10(1 + excess))


def test_what_was_not_verified_stays_below():
    verified = PLAIN.combine([0.5, 0.4], [0.0, 50.0])
    assert verified.min() >= 0.4
    assert verified[1] > verified[0]


def test_a_calibration_is_written_and_read_again(tmp_path):
    file = tmp_path / "calibration.json"
    write_calibration(file, "one", PLAIN)
    other = replace(PLAIN, floor=4.0)
    write_calibration(file, "two", other)
    assert calibrations(file) == {"one": PLAIN, "two": other}


@pytest.mark.parametrize("text", ["", "[]", '{"x": {}}', '{"x": 3}'])
def test_a_damaged_file_is_named(tmp_path, text):
    file = tmp_path / "calibration.json"
    file.write_text(text)
    with pytest.raises(RankingError, match=r"calibration\.json cannot be read"):
        calibrations(file)


def test_the_bundled_model_is_calibrated_and_no_evidence_counts_against():
    calibration = calibration_for(EncoderDetector(load_encoder()).name)
    assert calibration is not None
    assert min(calibration.same.weights) >= 0
    assert min(calibration.copy.weights) >= 0
    nothing = calibration.evaluate(found(0, 30), 0.9)
    much = calibration.evaluate(found(100, 120, 1.0), 0.9)
    assert nothing.verdict is Verdict.SIMILAR
    assert much.same_probability > max(0.9, nothing.same_probability)


def test_an_unknown_detector_is_not_calibrated():
    assert calibration_for("a model of my own") is None


def test_evidence_is_plain_json():
    from glocal.gallery.results import plain

    evidence = plain(PLAIN.evaluate(found(60, 70), 0.8))
    again = json.loads(json.dumps(evidence))
    assert again["verdict"] == "same_object"
    assert again["homography"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("before", "overlap", "verdict"),
    [
        (0.95, Agreement(overall=0.8, amid=0.8, least=0.7, blocks=60), Verdict.SAME_OBJECT),
        (0.95, Agreement(overall=0.8, amid=0.7, least=0.4, blocks=60), Verdict.SIMILAR),
        (0.95, None, Verdict.SIMILAR),
        (0.3, Agreement(overall=0.95, amid=0.95, least=0.9, blocks=60), Verdict.SAME_OBJECT),
        (0.3, Agreement(overall=0.95, amid=0.95, least=0.6, blocks=60), Verdict.SIMILAR),
        (0.3, Agreement(overall=0.7, amid=0.95, least=0.9, blocks=60), Verdict.SIMILAR),
    ],
)
def test_the_overlap_decides_beside_the_points(
    before: float, overlap: Agreement | None, verdict: Verdict
) -> None:
    points = found(30, 40, agreement=0.5)
    evidence = replace(PLAIN.evaluate(points, 0.7), same_probability=before)
    for assumed in (Verdict.SAME_OBJECT, Verdict.SIMILAR):
        after = PLAIN.weigh_agreement(replace(evidence, verdict=assumed), points, overlap)
        assert after.verdict is verdict
        assert (after.probability >= PLAIN.same_from) == verdict.is_match
    few = replace(points, coverage=0.2)  # points in a corner prove nothing for the rest
    if before < PLAIN.same_from:
        assert PLAIN.weigh_agreement(evidence, few, overlap).verdict is Verdict.SIMILAR
    for kept in (Verdict.COPY, Verdict.IDENTICAL_FILE):
        one = replace(evidence, verdict=kept)
        assert PLAIN.weigh_agreement(one, points, overlap) == one


def test_the_probability_is_that_of_the_verdict() -> None:
    evidence = replace(
        PLAIN.evaluate(found(30, 40), 0.7), same_probability=0.99, copy_probability=0.61
    )
    assert replace(evidence, verdict=Verdict.COPY).probability == 0.61
    assert replace(evidence, verdict=Verdict.SAME_OBJECT).probability == 0.99


@pytest.mark.parametrize("detector", sorted(calibrations()))
def test_what_is_hopeless_matches_by_no_homography(detector: str) -> None:
    calibration = calibrations()[detector]
    for score in np.linspace(0, 1, 21).tolist():
        chance = calibration.floor + 3.0
        assert not calibration.hopeless(chance + 1e-3, int(3 / calibration.per_match), score)
        if calibration.hopeless(0.0, 30, score):
            signs = (0.0, 1.0, 1.0, 1.0, score)
            assert calibration.same(signs) < calibration.same_from
            assert calibration.copy(signs) < calibration.copy_from
    assert calibration.hopeless(0.0, 30, 0.3)
