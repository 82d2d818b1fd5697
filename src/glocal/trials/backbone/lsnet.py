"""LSNet's large kernel decides how its small kernel sums up; sizes, training, throughput."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from glocal.learn.backbones.lsnet import LsConv, LsNetB, LsNetS, LsNetT, LsNetTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of the large-small convolution",
    baseline="output of a loop over cells: see 7x7, then sum up 3x3 by what was seen",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The layer; how far both kernels reach; sizes, training, export, throughput."""
    layer, x = _given()
    if lab.seed == 0:
        seen = layer.see(x.requires_grad_())
        inner = layer.see[:2](x).detach().requires_grad_()  # rectified: some cells are zero
        (kernel,) = torch.autograd.grad(layer.see[2](inner)[0, 0, 5, 5], inner)
        (summed,) = torch.autograd.grad(layer.aggregate(x, seen.detach())[0, 0, 5, 5], x)
        lab.check("cells that the large kernel sees", _cells(kernel), "=", 49)
        lab.check("cells that the small kernel sums up", _cells(summed), "=", 9)
        check_sizes(lab, {LsNetT: "11.4", LsNetS: "16.1", LsNetB: "23.2"})
        check_use(lab, LsNetTiny)
        if not lab.smoke:
            lab.check("images of 224 pixels in a second of LSNet-T", _rate(LsNetT()), ">", 1)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """For each cell take its window, perceive, normalise all weights, sum up 3x3 neighbours."""
    del lab
    layer, x = _given()
    weights = layer.see(x)
    found = torch.zeros_like(x)
    for channel in range(16):
        for row in range(11):
            for column in range(11):
                for step in range(9):
                    y, z = row + step // 3 - 1, column + step % 3 - 1
                    if 0 <= y < 11 and 0 <= z < 11:
                        weight = weights[:, channel // 8 * 9 + step, row, column]
                        found[:, channel, row, column] += weight * x[:, channel, y, z]
    return layer.norm(found) + x


def _given() -> tuple[LsConv, Tensor]:
    layer = LsConv(16).double().eval().requires_grad_(False)
    return layer, torch.randn(1, 16, 11, 11, dtype=torch.float64)


def _cells(gradient: Tensor) -> int:
    return int((gradient.abs().sum(dim=(0, 1)) > 0).sum())


@torch.no_grad()
def _rate(trunk: LsNetT) -> float:
    trunk.eval()
    images = torch.rand(4, 3, 224, 224)
    trunk(images)
    began = time.process_time()
    trunk(images)
    return len(images) / (time.process_time() - began)
