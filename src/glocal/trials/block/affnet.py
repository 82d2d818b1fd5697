"""The adaptive filter in the frequency domain equals a circular convolution."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.affnet import AdaptiveFrequencyFilter
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="features filtered in the frequency domain",
    baseline="features convolved circularly, cell by cell, with the kernel of the mask",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The block's output; it replaces convolutions and trains."""
    block, x = _given()
    one, two = (_kernel(block, image) for image in x[:, None])
    lab.check("difference of the kernels of two images", float((one - two).abs().max()), ">", 1e-3)
    trunk = graft(SmallResidual(), "mixer", AdaptiveFrequencyFilter)
    lab.check("convolutions replaced", count_blocks(trunk, AdaptiveFrequencyFilter), "=", 6)
    check_trains(lab, trunk)
    return block(x)


def baseline(lab: Lab) -> Tensor:
    """A circular convolution with a kernel as large as the feature map."""
    del lab
    block, x = _given()
    kernel = _kernel(block, x)
    height, width = x.shape[2:]
    found = torch.zeros_like(x)
    for row in range(height):
        for column in range(width):
            moved = x.roll((row, column), dims=(2, 3))
            found += kernel[:, :, row, column, None, None] * moved
    return found


def _kernel(block: AdaptiveFrequencyFilter, x: Tensor) -> Tensor:
    spectrum = torch.fft.fft2(x, norm="ortho")
    mask = torch.complex(*block.mask(spectrum.real, spectrum.imag))
    return torch.fft.ifft2(mask).real


def _given() -> tuple[AdaptiveFrequencyFilter, Tensor]:
    block = AdaptiveFrequencyFilter(8).double().requires_grad_(False)
    return block, torch.randn(2, 8, 6, 7, dtype=torch.float64)
