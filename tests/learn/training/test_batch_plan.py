from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from glocal.learn.batches import Plan, Slot, stream

LABELS = np.array([0] * 9 + [1] * 2 + [-1] * 6 + [2] * 7)


def test_an_epoch_uses_every_image_once():
    plan = Plan(LABELS, labelled=6, viewed=0, seed=1)
    assert plan.epoch_steps == 3
    for epoch in range(2):
        slots = [slot for step in range(3) for slot in plan.batch(3 * epoch + step)]
        assert sorted(slot.image for slot in slots) == list(np.flatnonzero(LABELS >= 0))
        assert all(slot.label == LABELS[slot.image] and not slot.view for slot in slots)


def test_epochs_differ_and_equal_seeds_repeat():
    plan, same = (Plan(LABELS, labelled=6, viewed=4, seed=1) for _ in range(2))
    batches = [plan.batch(step) for step in range(12)]
    # Any step can be read without the steps before it.
    assert [same.batch(step) for step in reversed(range(12))] == batches[::-1]
    assert batches[0] != batches[3]
    assert Plan(LABELS, labelled=6, viewed=4, seed=2).batch(0) != batches[0]


def test_every_labelled_image_has_a_partner_in_its_batch():
    labels = np.repeat(np.arange(20), 9)
    plan = Plan(labels, labelled=12, viewed=0, seed=0)
    alone = total = 0
    for step in range(plan.epoch_steps):
        counts = Counter(slot.label for slot in plan.batch(step))
        total += len(counts)
        alone += sum(count == 1 for count in counts.values())
        assert len(counts) >= 2
    assert alone < 0.25 * total  # only if the end of a batch cuts a group


def test_views_come_twice_in_the_same_order():
    slots = Plan(LABELS, labelled=4, viewed=5, seed=0).batch(7)
    assert len(slots) == 14
    assert [slot.view for slot in slots] == [False] * 4 + [True] * 10
    assert slots[4:9] == slots[9:]
    assert all(slot.label == slot.image for slot in slots[4:])
    assert len({slot.image for slot in slots[4:9]}) == 5
    assert Plan(LABELS, labelled=4, viewed=5, seed=0).epoch_steps == 5


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_starts_at_any_step_and_does_not_depend_on_threads(workers):
    plan = Plan(LABELS, labelled=4, viewed=3, seed=8)

    def load(slot: Slot, random):
        return np.full((2, 2, 3), slot.image + random.integers(0, 100), np.uint8)

    def take(first, count, threads):
        batches = stream(plan, load, first=first, workers=threads)
        found = [next(batches) for _ in range(count)]
        batches.close()
        return found

    whole, part = take(0, 6, 1), take(4, 2, workers)
    for one, other in zip(whole[4:], part, strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels, other.labels)
        assert one.labelled == other.labelled == 4
    batch = part[0]
    assert batch.images.shape == (10, 2, 2, 3)
    # Two views of an image are not the same view.
    assert not np.array_equal(batch.images[4:7], batch.images[7:])


def test_an_image_that_fails_ends_the_stream():
    def load(slot, random):
        raise ValueError("spoilt")

    with pytest.raises(ValueError, match="spoilt"):
        next(stream(Plan(LABELS, labelled=4, viewed=0, seed=0), load, first=0, workers=2))
