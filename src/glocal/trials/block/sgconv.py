"""SGConv by Fourier transforms equals the direct convolution with its kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.sgconv import SgConv
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="features mixed by SGConv with Fourier transforms",
    baseline="features summed over all pairs of cells with the kernel's weights",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The block's output; its kernel decays, and grows without many parameters."""
    block, x = _given()
    kernel = block.kernels(99)[0].abs()
    near, far = float(kernel[:, :8].mean()), float(kernel[:, -32:].mean())
    lab.check("mean weight of the 32 farthest cells, in parts of the 8 nearest", far / near,
              "<", 0.2)  # fmt: skip
    short, long = (count_parameters(SgConv(8, longest=cells)) for cells in (64, 64 * 64))
    lab.check("parameters for 64 times as many cells, in parts", long / short, "<", 3)
    trunk = graft(SmallResidual(), "mixer", SgConv)
    lab.check("convolutions replaced", count_blocks(trunk, SgConv), "=", 6)
    check_trains(lab, trunk)
    return block(x)


def baseline(lab: Lab) -> Tensor:
    """Every cell of the sequence gets from every other, one pair at a time."""
    del lab
    block, x = _given()
    sequence = x.flatten(2)
    length = sequence.shape[-1]
    before, after = block.kernels(length)
    found = block.skip[:, None] * sequence
    for to in range(length):
        for of in range(length):
            apart = to - of
            if apart >= 0:
                found[:, :, to] += before[:, apart] * sequence[:, :, of]
            if apart <= 0:
                found[:, :, to] += after[:, -apart] * sequence[:, :, of]
    return found.reshape(x.shape)


def _given() -> tuple[SgConv, Tensor]:
    with torch.no_grad():
        block = SgConv(8).double().requires_grad_(False)
        return block, torch.randn(2, 8, 6, 9, dtype=torch.float64)
