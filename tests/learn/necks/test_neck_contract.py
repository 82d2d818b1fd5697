from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch.nn import functional  # noqa: E402

from glocal.learn.necks.fpn import FeaturePyramid  # noqa: E402
from glocal.registry import names, part  # noqa: E402
from glocal.trials.zoo import SmallResidual  # noqa: E402

TRUNK = SmallResidual((8, 12, 16))


@pytest.fixture(params=names("neck", without="guided"))
def neck(request):
    return part("neck", request.param).load()(TRUNK.levels)


@pytest.mark.parametrize("side", [8, 12])
def test_maps_have_the_shapes_of_the_necks_levels(neck, side) -> None:
    maps = neck.eval()(TRUNK.eval()(torch.rand(2, 3, side, side)))
    assert [level.stride for level in neck.levels] == [level.stride for level in TRUNK.levels]
    for level, found in zip(neck.levels, maps, strict=True):
        assert found.shape == (2, level.width, side // level.stride, side // level.stride)


def test_every_weight_learns(neck) -> None:
    maps = neck.train()(TRUNK.train()(torch.rand(2, 3, 8, 8)))
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    for name, parameter in neck.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_a_pyramid_is_its_formula_level_by_level() -> None:
    neck = FeaturePyramid(TRUNK.levels, width=5).eval()
    fine, middle, coarse = TRUNK.eval()(torch.rand(1, 3, 8, 8))
    top = neck.laterals[2](coarse)
    below = neck.laterals[1](middle) + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
    last = neck.laterals[0](fine) + below.repeat_interleave(2, 2).repeat_interleave(2, 3)
    by_hand = [neck.smooth[0](last), neck.smooth[1](below), neck.smooth[2](top)]
    for found, expected in zip(neck([fine, middle, coarse]), by_hand, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_point_in_the_coarsest_map_reaches_all_finer_ones() -> None:
    neck = FeaturePyramid(TRUNK.levels, width=5).eval()
    maps = [m.detach() for m in TRUNK.eval()(torch.rand(1, 3, 8, 8))]
    changed = [*maps[:2], maps[2] + functional.one_hot(torch.tensor(0), 2).float()]
    for before, after in zip(neck(maps), neck(changed), strict=True):
        assert not torch.equal(before, after)
