from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.heads.dolg import Dolg, orthogonal_part  # noqa: E402

LEVELS = Tiny().levels


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(2, 64),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_the_orthogonal_part_is_orthogonal_at_every_position(seed, channels, scale):
    random = torch.Generator().manual_seed(seed)
    local = torch.randn(2, channels, 3, 4, generator=random) * scale
    whole = torch.randn(2, channels, generator=random)
    apart = orthogonal_part(local, whole)
    for b in range(2):
        for row in range(3):
            for column in range(4):
                cell, axis = apart[b, :, row, column].double(), whole[b].double()
                size = local[b, :, row, column].double().norm() * axis.norm()
                assert abs(float(cell @ axis / size)) < 1e-5
                # The removed component points along the vector: by the published formula.
                f = local[b, :, row, column].double()
                along = (f @ axis) / (axis @ axis) * axis
                assert torch.allclose(f - cell, along, atol=1e-5 * scale * channels)


@torch.no_grad()
def test_fused_local_features_are_orthogonal_to_the_global_vector():
    head = Dolg(LEVELS, dim=8, inner=24, branch=6).train()
    maps = random_maps(LEVELS, 3)
    for mode in (True, False):
        head.train(mode)
        whole, local, attention = head.branches(maps)
        apart = orthogonal_part(local, whole)
        dots = torch.einsum("bchw,bc->bhw", apart.double(), whole.double())
        sizes = local.double().norm(dim=1) * whole.double().norm(dim=1)[:, None, None]
        assert float((dots / sizes.clamp(min=1e-12)).abs().max()) < 1e-6
        assert local.norm(dim=1).max() > 0.1, "there is something to be orthogonal"
        # Cells are unit features times attention.
        assert torch.allclose(local.norm(dim=1), attention, atol=1e-5)


@torch.no_grad()
def test_it_stays_orthogonal_in_mixed_precision():
    head = Dolg(LEVELS, dim=8, inner=24, branch=6).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole, local, _ = head.branches(random_maps(LEVELS))
        apart = orthogonal_part(local, whole)
    dots = torch.einsum("bchw,bc->bhw", apart.double(), whole.double())
    assert float(dots.abs().max()) < 1e-6


@torch.no_grad()
def test_the_vector_is_the_projection_of_the_mean_of_both_in_every_cell():
    head = Dolg(LEVELS, dim=8, inner=24, branch=6).eval()
    maps = random_maps(LEVELS, 1, 64, 96)
    whole, local, _ = head.branches(maps)
    apart = orthogonal_part(local, whole)
    height, width = apart.shape[2:]
    total = torch.zeros(48)
    for row in range(height):
        for column in range(width):
            total += torch.cat([apart[0, :, row, column], whole[0]])
    expected = head.fuse(total / (height * width))
    assert torch.allclose(head(maps).vector[0], expected / expected.norm(), atol=1e-5)


def test_dilations_reach_as_far_as_they_say():
    head = Dolg(LEVELS, dim=8, inner=24, branch=6, dilations=(1, 4)).eval()
    x = torch.rand(1, LEVELS[1].width, 21, 21, requires_grad=True)
    for layer, reach in zip(head.atrous.spread, (1, 4), strict=True):
        convolution = layer[0]
        (gradient,) = torch.autograd.grad(convolution(x)[0, :, 10, 10].sum(), x)
        rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0].tolist()
        assert rows == [10 - reach, 10, 10 + reach]


def test_both_maps_matter_and_both_learn():
    head = Dolg(LEVELS, dim=8, inner=24, branch=6).eval()
    maps = [m.requires_grad_() for m in random_maps(LEVELS)]
    (head(maps).vector * torch.randn(2, 8)).sum().backward()
    assert maps[0].grad is None
    assert maps[1].grad.abs().sum() > 0
    assert maps[2].grad.abs().sum() > 0


def test_it_needs_two_maps():
    with pytest.raises(LearnError, match="fuses two feature maps"):
        Dolg(LEVELS[2:])
