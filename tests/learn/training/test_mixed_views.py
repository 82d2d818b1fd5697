from __future__ import annotations

import numpy as np
import pytest

from glocal.learn.batches import Batch, Plan, mix, stream

LABELS = np.array([0, 0, 1, 1, 2, 2], np.int64)
SIDE = 16


def made(labelled=4, viewed=5):
    """A batch of plain images whose shade is their number in it."""
    count = labelled + 2 * viewed
    shades = np.arange(count, dtype=np.uint8)
    images = np.broadcast_to(shades[:, None, None, None], (count, SIDE, SIDE, 3)).copy()
    views = np.tile(np.arange(viewed), 2)
    labels = np.concatenate([np.arange(labelled) % 2, views]).astype(np.int64)
    return Batch(images, labels, labelled, labels)


def test_mixed_views_show_the_two_images_of_their_labels():
    batch = made()
    mixed = mix(batch, 0.5, np.random.default_rng(3))
    assert np.array_equal(batch.images, made().images)
    assert np.array_equal(mixed.labels, batch.labels)
    assert mixed.labelled == 4
    both = 0
    for number in range(14):
        shades = set(np.unique(mixed.images[number]).tolist())
        other = int(mixed.second[number])
        if other < 0:
            assert shades == {number}
            continue
        both += 1
        assert number >= 4, "labelled images are left alone"
        assert other != batch.labels[number]
        (laid_over,) = shades - {number}
        assert laid_over >= 4
        assert batch.labels[laid_over] == other
        kept = (mixed.images[number] == number).mean()
        assert 0.2 < kept < 0.8
    assert 0 < both < 10


def test_the_given_share_of_views_is_mixed():
    random = np.random.default_rng(0)
    counts = [int((mix(made(), 0.3, random).second >= 0).sum()) for _ in range(200)]
    assert np.mean(counts) == pytest.approx(3, abs=0.4)
    assert (mix(made(), 1, random).second[4:] >= 0).all()


def test_views_of_one_image_alone_cannot_be_mixed():
    alone = mix(made(viewed=1), 1, np.random.default_rng(0))
    assert (alone.second == -1).all()
    assert np.array_equal(alone.images, made(viewed=1).images)


def test_a_stream_mixes_the_same_views_wherever_it_starts():
    plan = Plan(LABELS, labelled=4, viewed=3, seed=8)

    def load(slot, random):
        return np.full((8, 8, 3), slot.image + random.integers(0, 100), np.uint8)

    def take(first, count, mixed):
        batches = stream(plan, load, first=first, workers=2, mixed=mixed)
        found = [next(batches) for _ in range(count)]
        batches.close()
        return found

    whole, part = take(0, 6, 0.5), take(4, 2, 0.5)
    for one, other in zip(whole[4:], part, strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.second, other.second)
    assert len({batch.second.tobytes() for batch in whole}) > 1
    for plain, mixed in zip(take(0, 6, 0), whole, strict=True):
        assert plain.second is None
        same = (plain.images == mixed.images).all(axis=(1, 2, 3))
        assert same[mixed.second < 0].all()
        assert np.array_equal(plain.labels, mixed.labels)
