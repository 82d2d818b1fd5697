"""Labelled retrieval against a loop over sorted pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import evaluate_labelled, labelled


def slow(queries, query_labels, gallery, gallery_labels, exclude_self, ks):
    """Sort (similarity, right) for each query, wrong first among equals, and walk down."""
    aps, hits, r_precisions, aps_at_r = [], [], [], []
    for i, (query, label) in enumerate(zip(queries, query_labels, strict=True)):
        ranked = []
        for j, (item, item_label) in enumerate(zip(gallery, gallery_labels, strict=True)):
            if exclude_self and i == j:
                continue
            similarity = sum(float(a) * float(b) for a, b in zip(query, item, strict=True))
            ranked.append((-similarity, item_label == label))
        ranked.sort()
        right = [is_right for _, is_right in ranked]
        total = sum(right)
        if total == 0:
            aps.append(math.nan)
            continue
        precisions = [
            sum(right[:rank]) / rank for rank, is_right in enumerate(right, 1) if is_right
        ]
        aps.append(sum(precisions) / total)
        hits.append(right.index(True) + 1)
        within = sum(right[:total])
        r_precisions.append(within / total)
        aps_at_r.append(sum(precisions[:within]) / total)
    count = len(hits)

    def mean(values):
        return sum(values) / count if count else math.nan

    return {
        "recall_at": {k: mean([hit <= k for hit in hits]) for k in ks},
        "mean_ap": mean([ap for ap in aps if not math.isnan(ap)]),
        "r_precision": mean(r_precisions),
        "map_at_r": mean(aps_at_r),
        "queries": count,
        "unanswerable": len(aps) - count,
        "per_query_ap": aps,
    }


def compare(result, expected):
    for name, value in expected.items():
        assert getattr(result, name) == pytest.approx(value, nan_ok=True), name


# Small whole numbers have exact dot products, so that ties are ties in any precision.
numbers = st.integers(-2, 2)


@st.composite
def labelled_sets(draw):
    dim = draw(st.integers(1, 3))
    rows = st.lists(numbers, min_size=dim, max_size=dim)
    queries = draw(st.lists(st.tuples(rows, st.integers(0, 3)), max_size=6))
    gallery = draw(st.lists(st.tuples(rows, st.integers(0, 3)), max_size=10))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.float16, np.int64]))

    def split(items):
        vectors = np.array([row for row, _ in items], dtype=dtype).reshape(len(items), dim)
        return vectors, np.array([label for _, label in items], dtype=np.int64)

    return (*split(queries), *split(gallery))


@settings(deadline=None)
@given(labelled_sets(), st.integers(1, 400))
def test_result_equals_the_slow_loop_for_any_block_size(sets, block_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelled, "BLOCK_BYTES", block_bytes)
        result = evaluate_labelled(*sets, ks=(1, 2, 5))
    compare(result, slow(*sets, False, (1, 2, 5)))


@settings(deadline=None)
@given(labelled_sets())
def test_leave_one_out_equals_the_slow_loop(sets):
    gallery = sets[2:]
    result = evaluate_labelled(*gallery, *gallery, exclude_self=True)
    compare(result, slow(*gallery, *gallery, True, (1, 5, 10)))


def test_real_vectors_equal_the_loop():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 7, 60)
    vectors = (rng.normal(size=(60, 16)) + 3 * np.eye(7, 16)[labels]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    result = evaluate_labelled(vectors, labels, vectors, labels, exclude_self=True)
    compare(result, slow(vectors, labels, vectors, labels, True, (1, 5, 10)))
    assert 0.3 < result.mean_ap < 0.95  # neither trivial nor noise, so the comparison has weight


def test_result_equals_a_calculation_by_hand():
    # Similarities to the query (1, 0): 0.9 right, 0.8 wrong, 0.7 right, 0.6 wrong, 0.5 right.
    gallery = [[0.9, 0], [0.8, 0], [0.7, 0], [0.6, 0], [0.5, 0]]
    result = evaluate_labelled([[1.0, 0.0]], ["a"], gallery, ["a", "b", "a", "b", "a"])
    # precisions at the right answers: 1/1, 2/3, 3/5; R = 3, and two right ones are in the first 3
    assert result.mean_ap == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert result.r_precision == pytest.approx(2 / 3)
    assert result.map_at_r == pytest.approx((1 + 2 / 3) / 3)
    assert result.recall_at == {1: 1.0, 5: 1.0, 10: 1.0}
    assert (result.queries, result.unanswerable) == (1, 0)


@pytest.mark.parametrize("order", ["right first", "right last"])
def test_collapsed_vectors_score_lowest_in_any_order(order):
    """All vectors are equal: rounding in matrix products must not change the result."""
    rng = np.random.default_rng(0)
    point = rng.normal(size=256)
    vectors = np.tile((point / np.linalg.norm(point)).astype(np.float32), (1003, 1))
    labels = np.zeros(1003, dtype=int)
    labels[10:] = 1
    if order == "right last":
        labels = labels[::-1]
    query = rng.normal(size=(100, 256))
    query = (query / np.linalg.norm(query, axis=1, keepdims=True)).astype(np.float32)
    result = evaluate_labelled(query, np.zeros(100, dtype=int), vectors, labels)
    # 993 wrong answers stand before the ten right ones, which are at ranks 994 to 1003
    worst = sum((j + 1) / (994 + j) for j in range(10)) / 10
    assert result.per_query_ap == pytest.approx(np.full(100, worst))
    assert result.recall_at[10] == 0.0


def test_a_query_whose_label_the_gallery_lacks_is_counted_separately():
    result = evaluate_labelled([[1.0], [1.0]], [0, 9], [[1.0], [0.5]], [0, 1])
    assert (result.queries, result.unanswerable) == (1, 1)
    assert result.mean_ap == 1.0
    assert math.isnan(result.per_query_ap[1])


def test_means_over_no_query_are_nan():
    for gallery in (np.zeros((0, 2)), np.ones((3, 2))):
        labels = ["x"] * len(gallery)
        result = evaluate_labelled(np.zeros((0, 2)), [], gallery, labels)
        assert math.isnan(result.mean_ap)
        assert math.isnan(result.recall_at[1])
        assert result.queries == 0
    result = evaluate_labelled([[1.0, 0.0]], ["x"], np.zeros((0, 2)), [])
    assert (result.queries, result.unanswerable) == (0, 1)


def test_large_labels_stay_apart():
    # as float64 these two would be one
    labels = np.array([2**60, 2**60 + 1], dtype=np.uint64)
    result = evaluate_labelled([[1.0]], labels[:1].astype(np.int64), [[0.5], [0.9]], labels)
    assert result.recall_at[1] == 0.0


def test_vectors_of_mixed_precision_and_labels_of_any_kind():
    gallery = np.array([[1, 0], [0, 1]], dtype=np.float32)
    result = evaluate_labelled(gallery.astype(np.float64), ["a", "bb"], gallery, ["a", "bb"])
    assert result.mean_ap == 1.0
    as_objects = np.array(["a", "bb"], dtype=object)
    assert evaluate_labelled(gallery, as_objects, gallery, ["a", "bb"]).mean_ap == 1.0
    whole = np.array([3, 4], dtype=object)
    assert evaluate_labelled(gallery, whole, gallery, [3, 4]).mean_ap == 1.0


GOOD = np.eye(2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([[1.0, math.nan]], [0], GOOD, [0, 1]), "query vectors hold nan"),
        ((GOOD, [0, 1], [[math.inf, 0.0]], [0]), "gallery vectors hold inf"),
        ((np.eye(3), [0, 1, 2], GOOD, [0, 1]), "shape"),
        ((GOOD, [0], GOOD, [0, 1]), "2 query vectors need 2 labels"),
        ((GOOD, [0, 1], GOOD, [[0, 1]]), "2 gallery vectors need 2 labels"),
        ((GOOD, [0, None], GOOD, [0, 1]), "missing"),
        ((GOOD, ["a", None], GOOD, ["a", "b"]), "missing"),
        ((GOOD, [0.0, math.nan], GOOD, [0, 1]), "missing"),
        ((GOOD, [0, 1], GOOD, ["0", "1"]), "one kind"),
        ((GOOD, np.array([0, 2**63], dtype=np.uint64), GOOD, [0, 1]), "whole numbers"),
        ((GOOD.astype(np.float32) * 1e30, [0, 1], GOOD, [0, 1]), None),
        ((np.eye(2, dtype=np.float32) * 1e30, [0, 1], GOOD.astype(np.float32), [0, 1]), "too long"),
    ],
)
def test_invalid_arguments_are_refused(arguments, says):
    if says is None:  # in float64 these lengths are no trouble
        assert evaluate_labelled(*arguments).mean_ap == 1.0
        return
    with pytest.raises(EvaluationError, match=says):
        evaluate_labelled(*arguments)


def test_excluding_self_needs_the_same_set_twice():
    for other in (GOOD[::-1], np.eye(3)[:, :2]):
        with pytest.raises(EvaluationError, match="exclude_self"):
            evaluate_labelled(other, range(len(other)), GOOD, [0, 1], exclude_self=True)
    with pytest.raises(EvaluationError, match="exclude_self"):
        evaluate_labelled(GOOD, [0, 1], GOOD, [1, 0], exclude_self=True)
