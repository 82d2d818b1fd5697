from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402

from glocal.learn.heads.pooled import Pooled  # noqa: E402
from glocal.registry import names, part  # noqa: E402

LEVELS = Tiny().levels
ADDITIVE = [n for n in names("head") if getattr(part("head", n).load(), "additive", False)]


def test_average_and_gem_are_additive():
    assert set(ADDITIVE) == {"average", "gem"}


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("dim", [None, 5])
def test_contributions_sum_to_the_vector(name, dim):
    head = part("head", name).load()(LEVELS, dim=dim)
    if dim:
        torch.nn.init.normal_(head.whitening.linear.bias)
    maps = random_maps(LEVELS)
    found = head.contributions(maps)
    assert found.shape == (2, 3, 4, head.dim)
    assert torch.allclose(found.sum(dim=(1, 2)), head(maps).vector, atol=1e-6)


def test_the_share_of_a_cell_in_gem_follows_the_formula():
    head = part("head", "gem").load()(LEVELS, dim=None, power=2.5)
    maps = random_maps(LEVELS)
    x = maps[-1]
    pooled = x.pow(2.5).mean(dim=(2, 3)).pow(1 / 2.5)
    shares = head.shares(x).detach()
    for channel in range(3):
        value, whole = float(x[1, channel, 2, 3]), float(pooled[1, channel])
        assert float(shares[1, channel, 2, 3]) == pytest.approx(value**2.5 / 12 / whole**1.5)


def test_a_cell_of_zeros_contributes_only_its_part_of_the_bias():
    head = part("head", "gem").load()(LEVELS, dim=5)
    torch.nn.init.normal_(head.whitening.linear.bias)
    maps = random_maps(LEVELS)
    maps[-1][:, :, 1, 1] = 0
    dark = head.contributions(maps)[:, 1, 1]
    assert torch.allclose(
        dark / dark.norm(dim=1, keepdim=True),
        torch.nn.functional.normalize(head.whitening.linear.bias, dim=0).expand(2, 5),
        atol=1e-4,
    )


def test_other_pooling_refuses_contributions():
    head = part("head", "max").load()(LEVELS, dim=5)
    assert isinstance(head, Pooled)
    with pytest.raises(NotImplementedError, match="Maximum is not a sum over cells"):
        head.contributions(random_maps(LEVELS))
