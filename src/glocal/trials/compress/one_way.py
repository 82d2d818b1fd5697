"""One-way filters compute a convolution with their product, of a fifth of its weights.

Trained alike, a network whose 3x3 convolutions are all compressed tells digits apart nearly as well
as the ordinary one. The paper predicts waves with theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.blocks.one_way import OneWay
from glocal.learn.cost import count_flops, count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, count_blocks, trained_accuracy

CLAIM = Claim(
    measured="output of the one-way filters",
    baseline="output of an ordinary convolution whose kernels are their products",
    unit="activation",
    comparison="=",
    margin=1e-9,
    seeds=3,
)
_WIDTH, _OUT = 16, 24


def method(lab: Lab) -> Tensor:
    """Three convolutions in turn."""
    _check_network(lab)
    block, x = _made(lab)
    return block(x)


def baseline(lab: Lab) -> Tensor:
    """One convolution with the full kernel."""
    block, x = _made(lab)
    kernel = torch.einsum(
        "oc,oi,oj->ocij",
        block.inputs.weight[:, :, 0, 0],
        block.rows.weight[:, 0, :, 0],
        block.columns.weight[:, 0, 0, :],
    )
    return functional.conv2d(x, kernel, stride=block.stride, padding=1)


def _made(lab: Lab) -> tuple[OneWay, Tensor]:
    torch.manual_seed(lab.seed)
    block = OneWay(_WIDTH, out=_OUT, stride=1 + lab.seed % 2).double()
    return block, torch.randn(2, _WIDTH, 11, 9, dtype=torch.double)


def _check_network(lab: Lab) -> None:
    plain = SmallResidual()
    trunk = graft(plain, "conv", OneWay)
    lab.check("weights of a block", count_parameters(OneWay(_WIDTH, out=_OUT)), "=",
              (_WIDTH + 2 * 3) * _OUT)  # fmt: skip
    lab.check("convolutions replaced", count_blocks(trunk, OneWay), "=", 9)
    lab.check("parameters of the network, in parts of the ordinary one's",
              count_parameters(trunk) / count_parameters(plain), "<", 0.2)  # fmt: skip
    image = torch.rand(1, 3, 16, 16)
    lab.check("operations of the network, in parts of the ordinary one's",
              count_flops(trunk, image) / count_flops(plain, image), "<", 0.2)  # fmt: skip
    torch.manual_seed(lab.seed)
    ordinary = trained_accuracy(lab, SmallResidual(), steps=100)
    torch.manual_seed(lab.seed)
    compressed = trained_accuracy(lab, graft(SmallResidual(), "conv", OneWay), steps=100)
    lab.check("accuracy on digits less that of the ordinary network, points",
              compressed - ordinary, ">", -5)  # fmt: skip
