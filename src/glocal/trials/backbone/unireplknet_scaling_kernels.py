"""Merged branches compute the same, and large kernels see farther than 3x3 kernels do.

How far a network sees is measured as Luo et al. (Understanding the Effective Receptive Field in
Deep Convolutional Neural Networks, 2016) do: by the gradient of a cell in the middle. As in the
paper's figures, the networks are trained, here both with 60 steps on digits, all other layers
alike. Before training, batch normalisation has not seen its statistics and a block adds little to
what it is given, so that the gradient passes by the kernels of both: 29.6 pixels and 28.
"""

from __future__ import annotations

import copy

import torch

from glocal.learn.backbones.unireplknet import (
    DilatedReparam,
    UniRepLkNet,
    UniRepLkNetA,
    UniRepLkNetF,
    UniRepLkNetN,
    UniRepLkNetP,
    UniRepLkNetS,
    UniRepLkNetT,
    UniRepLkNetTiny,
)
from glocal.learn.contracts import Backbone
from glocal.learn.cost import count_parameters
from glocal.learn.graft import merge
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use
from glocal.trials.zoo import Classifier, fit

CLAIM = Claim(
    measured="side of the square that holds 90 % of the squared gradient of a cell, large kernels, "
    "trained",
    baseline="the same, with 3x3 kernels instead, trained likewise",
    unit="pixels",
    comparison=">",
    margin=8.0,
)
_PUBLISHED = {
    UniRepLkNetA: "4.4",
    UniRepLkNetF: "6.2",
    UniRepLkNetP: "10.7",
    UniRepLkNetN: "18.3",
    UniRepLkNetT: "31",
    UniRepLkNetS: "56",
}


class _Small(UniRepLkNetTiny):
    kernels = tuple((3,) * len(kernels) for kernels in UniRepLkNetTiny.kernels)  # type: ignore[assignment]


def method(lab: Lab) -> float:
    """The receptive field; how far merged and unmerged deviate, sizes and use."""
    trunk = UniRepLkNetTiny()
    block = DilatedReparam(5, kernel=13).double()
    for module in (trunk.double(), block):
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):  # as after a training
                norm.running_mean = torch.randn(norm.num_features, dtype=torch.float64) / 4
                norm.running_var = torch.rand(norm.num_features, dtype=torch.float64) + 0.5
        module.eval().requires_grad_(False)
    x = torch.randn(2, 5, 16, 18, dtype=torch.float64)
    apart = float((block.merged()(x) - block(x)).detach().abs().max())
    lab.check("deviation of the merged kernel from its branches", apart, "<", 1e-9)
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    merged = merge(copy.deepcopy(trunk))(image)
    apart = max(
        float((a - b).detach().abs().max()) for a, b in zip(merged, trunk(image), strict=True)
    )
    lab.check("deviation of the merged network's maps", apart, "<", 1e-9)
    check_sizes(lab, _PUBLISHED, count=_count_merged)
    check_use(lab, UniRepLkNetTiny, steps=60)
    torch.manual_seed(lab.seed)
    return _seen(_trained(lab, UniRepLkNetTiny()))


def baseline(lab: Lab) -> float:
    """The twin with small kernels, trained likewise."""
    return _seen(_trained(lab, _Small()))


def _trained(lab: Lab, trunk: UniRepLkNet) -> UniRepLkNet:
    data = lab.digits(32)
    fit(Classifier(trunk, data.classes), data.train, steps=lab.steps(60), seed=lab.seed)
    return trunk


def _count_merged(trunk: Backbone) -> int:
    """Parameters with one kernel and a bias in the place of the branches."""
    count = count_parameters(trunk)
    for module in trunk.modules():
        if isinstance(module, DilatedReparam):
            count += module.width * (module.kernel**2 + 1) - count_parameters(module)
    return count


def _seen(trunk: UniRepLkNet) -> float:
    """Side of the square around the middle with 90 % of the squared gradient of a cell."""
    side = 192
    energy = torch.zeros(side, side)
    for _ in range(4):
        image = torch.rand(1, 3, side, side, requires_grad=True)
        found = trunk.eval()(image)[1]
        cell = found.shape[-1] // 2
        mixture = torch.randn(found.shape[1])
        (gradient,) = torch.autograd.grad((found[0, :, cell, cell] * mixture).sum(), image)
        energy += gradient[0].square().sum(dim=0) / gradient.square().sum()
    middle = side // 2
    for half in range(1, middle):
        inside = energy[middle - half : middle + half, middle - half : middle + half].sum()
        if float(inside) > 0.9 * float(energy.sum()):
            return 2.0 * half
    return float(side)
