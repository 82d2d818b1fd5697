"""What is measured of a bridge, against loops, on images that it was not fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from bridge_spaces import spaces
from glocal.errors import BridgeError
from glocal.upgrade import BridgeMeasurement, fit_bridge, make_bridge, measure_bridge
from glocal.upgrade.measure import NEIGHBOURS


def nearest(row: np.ndarray, own: int, count: int) -> list[int]:
    ranked = sorted((-score, place) for place, score in enumerate(row) if place != own)
    return [place for _, place in ranked[:count]]


def test_the_figures_are_those_of_loops():
    old, new = spaces(noise=0.5)
    bridge = make_bridge("ridge").fit(old[:120], new[:120])
    old, new = old[120:], new[120:]
    found = measure_bridge(bridge, old, new)
    crossed = bridge.queries(new) @ old.T
    by = {"bridged": crossed, "old": old @ old.T, "new": new @ new.T}
    sets = {
        name: [set(nearest(row, i, NEIGHBOURS)) for i, row in enumerate(scores)]
        for name, scores in by.items()
    }

    def shared(one: str, other: str) -> float:
        return np.mean([len(a & b) for a, b in zip(sets[one], sets[other], strict=True)]) / 10

    assert found.images == 120
    assert found.own_image == np.mean([row.argmax() == i for i, row in enumerate(crossed)])
    assert found.cosine == pytest.approx(np.mean(np.diag(crossed)), abs=1e-6)
    assert found.bridged_new == pytest.approx(shared("bridged", "new"))
    assert found.bridged_old == pytest.approx(shared("bridged", "old"))
    assert found.old_new == pytest.approx(shared("old", "new"))


def test_a_perfect_bridge_has_perfect_figures():
    old, _ = spaces()
    found = measure_bridge(
        make_bridge("procrustes").fit(old[:100], old[:100]), old[100:], old[100:]
    )
    assert found.figures() == pytest.approx(
        {
            "images": 140,
            "own_image": 1,
            "cosine": 1,
            "bridged_new": 1,
            "bridged_old": 1,
            "old_new": 1,
        }
    )


def test_images_kept_aside_are_not_fitted_to():
    old, new = spaces(noise=0.5)
    random = np.random.default_rng(0).permutation(240)
    fitted = fit_bridge(old, new, name="ridge", seed=0)
    aside, rest = random[:50], random[50:]
    again = make_bridge("ridge").fit(old[rest], new[rest])
    assert fitted.measured == measure_bridge(again, old[aside], new[aside])
    assert fitted.anchors == 240
    whole = make_bridge("ridge").fit(old, new).arrays()
    assert all(np.array_equal(whole[k], v) for k, v in fitted.bridge.arrays().items())


def test_noise_lowers_what_the_bridge_finds():
    quiet, loud = (fit_bridge(*spaces(noise=n), name="ridge").measured for n in (0.1, 1.0))
    assert quiet.own_image > loud.own_image
    assert quiet.bridged_new > loud.bridged_new


def test_too_few_images_say_how_many_are_needed():
    old, new = spaces()
    with pytest.raises(BridgeError, match="encode at least 100 by both"):
        fit_bridge(old[:99], new[:99])
    bridge = make_bridge("procrustes").fit(old, new)
    with pytest.raises(BridgeError, match="encode at least 50 by both"):
        measure_bridge(bridge, old[:49], new[:49])
    with pytest.raises(BridgeError, match="use vectors of the models it was fitted to"):
        measure_bridge(bridge, new, old)


@pytest.mark.parametrize(("found", "worse"), [(0.55, False), (0.54, True), (0.1, True)])
def test_a_bridge_that_finds_hardly_more_than_the_old_model_is_worse_than_waiting(found, worse):
    measured = BridgeMeasurement(100, 1.0, 1.0, found, 1.0, 0.5)
    assert measured.worse_than_waiting is worse


def test_views_of_one_image_are_kept_aside_together() -> None:
    """Views that are copies must not make an image that is kept aside look known."""
    random = np.random.default_rng(0)
    old, new = random.normal(size=(150, 40)), random.normal(size=(150, 60))  # nothing to learn
    groups = np.repeat(np.arange(150), 3)
    rows = np.repeat(old, 3, axis=0), np.repeat(new, 3, axis=0)
    together = fit_bridge(*rows, name="ridge", groups=groups)
    apart = fit_bridge(*rows, name="ridge")
    assert (together.anchors, together.measured.images) == (150, 50)
    assert together.measured.cosine < 0.2 < apart.measured.cosine
    with pytest.raises(BridgeError, match="450 pairs of 50 images"):
        fit_bridge(*rows, name="ridge", groups=groups // 3)
    with pytest.raises(BridgeError, match="one group for each pair"):
        fit_bridge(*rows, name="ridge", groups=groups[:-1])
