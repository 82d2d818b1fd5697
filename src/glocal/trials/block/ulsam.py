"""ULSAM in the place of convolutions of a compact network lowers operations and parameters."""

from __future__ import annotations

import torch

from glocal.learn.blocks.ulsam import SubspaceAttention
from glocal.learn.cost import count_flops, count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="operations of a trunk with ULSAM in the place of its last stage's residual layers",
    baseline="operations of the trunk",
    unit="per cent of the trunk's operations",
    comparison="<",
    margin=10.0,
    seeds=3,
)


def method(lab: Lab) -> float:
    """Counted operations; each group has an attention map of its own."""
    plain = _trunk(lab)
    trunk = graft(plain, "mixer", SubspaceAttention, stages=[2])
    lab.check("convolutions replaced", count_blocks(trunk, SubspaceAttention), "=", 2)
    parameters = count_parameters(trunk) / count_parameters(plain)
    lab.check("parameters, in parts of the plain trunk's", parameters, "<", 0.75)
    maps = SubspaceAttention(16)(torch.randn(2, 16, 5, 6)), SubspaceAttention(16)
    attention = maps[1].attention(torch.randn(2, 16, 5, 6)).detach()
    apart = float((attention[:, 0] - attention[:, 1]).abs().max())
    lab.check("difference of the maps of two groups", apart, ">", 1e-3)
    lab.check("shape kept (1 is yes)", maps[0].shape == (2, 16, 5, 6), "=", 1)
    image = torch.rand(1, 3, 32, 32)
    share = 100 * count_flops(trunk, image) / count_flops(plain, image)
    check_trains(lab, trunk)
    return share


def baseline(lab: Lab) -> float:
    """The plain trunk's operations, in parts of themselves."""
    image = torch.rand(1, 3, 32, 32)
    return 100 * count_flops(_trunk(lab), image) / count_flops(_trunk(lab), image)


def _trunk(lab: Lab) -> SmallResidual:
    width = 16 + 4 * (lab.seed % 5)
    return SmallResidual((width, 2 * width, 3 * width)).eval()
