"""SpaRTAN's channels are waves that complex numbers turn; its kernels see two orders; it trains."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.spartan import Spartan, SpartanTiny, SpatialMixer, WaveMixer
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="aggregated channels of all cells",
    baseline="a loop over the cells in complex numbers",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The aggregation; the reach of both kernels, size and use."""
    mixer, x = _given()
    spatial = SpatialMixer(16, alone=False).double().eval()
    for name, layers, side in (("near", spatial.near[:3], 3), ("far", spatial.far[:4], 9)):
        lab.check(f"side of what the {name} kernels see, in cells", _reach(layers), "=", side)
    check_sizes(lab, {Spartan: "3.8"})
    check_use(lab, SpartanTiny, steps=60)
    return mixer.aggregated(x)


def baseline(lab: Lab) -> Tensor:
    """``(a theta + a_m theta_m) w`` for each cell, with pairs of channels as complex numbers."""
    del lab
    mixer, x = _given()
    turn = torch.view_as_complex(mixer.wave)
    found = torch.empty(2, 16, *x.shape[2:], dtype=x.dtype)
    for image in range(len(x)):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                cell = x[image, :, row, column]
                phase = functional.gelu(_linear(mixer.phase, cell))
                amplitude = _linear(mixer.amplitude, cell)
                most = max(range(len(cell)), key=cell.__getitem__)
                wave = amplitude * phase + amplitude[most] * phase[most]
                turned = turn * torch.complex(wave[0::2], wave[1::2])
                found[image, :, row, column] = torch.view_as_real(turned).flatten()
    return found


def _linear(layer: torch.nn.Conv2d, cell: Tensor) -> Tensor:
    assert layer.bias is not None  # noqa: S101 - it has one
    return layer.weight[:, :, 0, 0] @ cell + layer.bias


def _reach(layers: torch.nn.Module) -> int:
    """Side of the square of cells that have a gradient of the cell in the middle."""
    x = torch.randn(1, 8, 21, 21, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layers(x)[0, :, 10, 10].sum(), x)
    rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
    return int(rows.max() - rows.min()) + 1


def _given() -> tuple[WaveMixer, Tensor]:
    mixer = WaveMixer(8, 2, alone=False).double().eval().requires_grad_(False)
    return mixer, torch.randn(2, 8, 5, 6, dtype=torch.float64)
