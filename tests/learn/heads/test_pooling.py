"""The pooling heads, each against a slow and obvious loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.contracts import Level  # noqa: E402
from glocal.learn.heads.average import Average  # noqa: E402
from glocal.learn.heads.gem import Gem, generalised_mean  # noqa: E402
from glocal.learn.heads.maximum import Maximum  # noqa: E402
from glocal.learn.heads.rmac import Rmac, regions  # noqa: E402
from glocal.learn.heads.superglobal import SuperGlobal, pool_scales, raise_floor  # noqa: E402

LEVELS = (Level(32, 5, 31.5),)


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    return x / np.linalg.norm(x)


def vector(head, feature_map):
    return head.eval()([feature_map]).vector[0].detach().numpy()


@pytest.fixture
def feature_map():
    return torch.rand(1, 5, 6, 9) * 6


def cells(feature_map, channel):
    _, _, height, width = feature_map.shape
    return [
        float(feature_map[0, channel, row, column])
        for row in range(height)
        for column in range(width)
    ]


def test_average(feature_map):
    expected = unit([sum(cells(feature_map, c)) / 54 for c in range(5)])
    assert vector(Average(LEVELS), feature_map) == pytest.approx(expected, abs=1e-6)


def test_maximum(feature_map):
    expected = unit([max(cells(feature_map, c)) for c in range(5)])
    assert vector(Maximum(LEVELS), feature_map) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("power", [1.0, 3.0, 4.6])
def test_generalised_mean(feature_map, power):
    feature_map[0, 0, 0, 0] = -1.0
    expected = [
        (sum(max(x, 1e-6) ** power for x in cells(feature_map, c)) / 54) ** (1 / power)
        for c in range(5)
    ]
    assert generalised_mean(feature_map, power)[0].numpy() == pytest.approx(expected, rel=1e-4)
    head = Gem(LEVELS, power=power)
    assert vector(head, feature_map) == pytest.approx(unit(expected), abs=1e-5)


def test_the_power_learns_unless_told_not_to(feature_map):
    head = Gem(LEVELS)
    head([feature_map]).vector[0, 0].backward()
    assert head.power.grad != 0
    assert not Gem(LEVELS, learn_power=False).power.requires_grad


def test_a_large_power_is_the_maximum_and_one_the_average(feature_map):
    high = generalised_mean(feature_map.double(), 300.0)
    assert torch.allclose(high, feature_map.double().amax(dim=(2, 3)), rtol=0.03)
    low = generalised_mean(feature_map, 1.0)
    assert torch.allclose(low, feature_map.mean(dim=(2, 3)), rtol=1e-5)


@pytest.mark.parametrize("made", [Average, Maximum, Gem, Rmac, SuperGlobal])
def test_half_precision_maps_are_pooled_in_single_precision(made, feature_map):
    half = (feature_map * 1000).half()  # whose powers exceed half precision
    head = made(LEVELS, dim=3).eval()
    assert torch.equal(head([half]).vector, head([half.float()]).vector)


def test_whitening_follows_pooling(feature_map):
    head = Average(LEVELS, dim=3)
    pooled = unit([sum(cells(feature_map, c)) for c in range(5)])
    weight = head.whitening.linear.weight.detach().numpy()
    assert vector(head, feature_map) == pytest.approx(unit(weight @ pooled), abs=1e-5)


def test_regions_equal_the_example_of_the_paper():
    # Twice as wide as high: two squares would meet without overlapping, three overlap by half,
    # which is nearer to 40 %.
    assert regions(6, 12, 1) == [(0, 0, 6), (0, 3, 6), (0, 6, 6)]
    assert regions(6, 6, 2) == [
        (0, 0, 6),
        (0, 0, 4), (0, 2, 4), (2, 0, 4), (2, 2, 4),
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20))
def test_regions_lie_within_the_map_and_reach_its_corners(height, width):
    found = regions(height, width, 3)
    for top, left, side in found:
        assert 0 <= top <= top + side <= height
        assert 0 <= left <= left + side <= width
        assert side >= 1
    short = min(height, width)
    assert (0, 0, short) in found
    assert any(top + side == height and left + side == width for top, left, side in found)
    if height != width:
        gone = {(left, top, side) for top, left, side in found}
        assert gone == set(regions(width, height, 3))


@pytest.mark.parametrize("dim", [None, 3])
def test_rmac(feature_map, dim):
    head = Rmac(LEVELS, dim=dim)
    total = np.zeros(dim or 5)
    for top, left, side in regions(6, 9, 3):
        maxima = [
            max(
                float(feature_map[0, channel, row, column])
                for row in range(top, top + side)
                for column in range(left, left + side)
            )
            for channel in range(5)
        ]
        part = unit(maxima)
        if dim:
            part = unit(head.whitening.linear.weight.detach().numpy() @ part)
        total += part
    assert vector(head, feature_map) == pytest.approx(unit(total), abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(6, 9), (3, 3), (8, 3)])
def test_superglobal(height, width):
    feature_map = torch.rand(1, 5, height, width) * 6

    def mirrored(place, length):
        if place < 0:
            place = -place
        return 2 * (length - 1) - place if place >= length else place

    pooled = []
    for channel in range(5):
        powers = []
        for row in range(height):
            for column in range(width):
                window = [
                    float(feature_map[0, channel, mirrored(y, height), mirrored(x, width)]) ** 2.5
                    for y in range(row - 2, row + 3)
                    for x in range(column - 2, column + 3)
                ]
                regional = (sum(window) / 25) ** (1 / 2.5)
                cell = float(feature_map[0, channel, row, column])
                powers.append(((regional + cell) / 2) ** 4.6)
        pooled.append((sum(powers) / len(powers)) ** (1 / 4.6))
    assert vector(SuperGlobal(LEVELS), feature_map) == pytest.approx(unit(pooled), abs=1e-5)


def test_superglobal_takes_the_whitening_of_a_trained_head(feature_map):
    trained = Gem(LEVELS, dim=3)
    torch.nn.init.normal_(trained.whitening.linear.bias)
    head = SuperGlobal.from_trained(trained, LEVELS, power=3.0, window=1, regional_power=1.0)
    # With a window of one cell and the trained power, it is the trained head.
    assert head.dim == 3
    assert vector(head, feature_map) == pytest.approx(vector(trained, feature_map), abs=1e-5)
    head.whitening.linear.weight.data.zero_()
    assert trained.whitening.linear.weight.any()
    assert SuperGlobal.from_trained(Gem(LEVELS), LEVELS).dim == 5


def test_an_even_window_is_refused():
    with pytest.raises(LearnError, match="has to be odd, not 4"):
        SuperGlobal(LEVELS, window=4)


def test_scales_are_pooled_by_their_maximum():
    vectors = torch.randn(3, 2, 4)
    for b in range(2):
        rows = [unit(vectors[s, b]) for s in range(3)]
        expected = unit([max(row[c] for row in rows) for c in range(4)])
        assert pool_scales(vectors)[b].numpy() == pytest.approx(expected, abs=1e-6)


def test_scales_are_pooled_by_a_power():
    vectors = torch.randn(3, 2, 4)
    rows = [[unit(vectors[s, b]) for b in range(2)] for s in range(3)]
    least = min(float(row.min()) for scale in rows for row in scale)
    for b in range(2):
        expected = [
            (sum((rows[s][b][c] - least) ** 3 for s in range(3)) / 3) ** (1 / 3) + least
            for c in range(4)
        ]
        pooled = pool_scales(vectors, power=3.0)[b].numpy()
        assert pooled == pytest.approx(unit(expected), abs=1e-4)


@torch.no_grad()
def test_a_raised_floor_changes_all_but_the_last_stage():
    tiny = Tiny().eval()
    raised = raise_floor(tiny, least=0.25)
    image = torch.rand(1, 3, 64, 64)
    layer = tiny.stages[0][0]
    before_rectifier = layer[2](layer[1](layer[0](image)))
    assert torch.equal(raised.stages[0][0](image), before_rectifier.clamp(0.25, 6))
    assert float(raised(image)[0].min()) == 0.25
    assert float(raised(image)[-1].min()) == 0.0
    assert float(tiny(image)[0].min()) == 0.0
    nothing = raise_floor(tiny, least=0.0)
    for ours, theirs in zip(nothing(image), tiny(image), strict=True):
        assert torch.equal(ours, theirs)


def test_raising_the_floor_needs_rectifiers():
    tiny = Tiny()
    tiny.stages = tiny.stages[2:]
    with pytest.raises(LearnError, match="no rectifiers"):
        raise_floor(tiny)
