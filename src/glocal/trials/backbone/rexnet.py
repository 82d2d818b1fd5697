"""ReXNet's widths grow linearly; the rank of its features where a stepwise design expands.

The rank is the exponential of the entropy of the squared singular values' shares, over the cells of
photos, of the outputs of those blocks at which the stepwise design widens. Both networks start at
random, have as many parameters, the same blocks and strides; only their widths differ. Divided by
the widths, the ranks hardly differ: what is higher is the number of directions in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from glocal.learn.backbones.timm_families import ReXNet
from glocal.learn.cost import count_parameters
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family
from glocal.trials.zoo import pixels

CLAIM = Claim(
    measured="mean rank of features at expansions, widths that grow linearly",
    baseline="the same with MobileNetV2's steps, scaled to as many parameters",
    unit="directions",
    comparison=">",
    margin=1,
    seeds=5,
)
_STEPS = (16, *(24,) * 2, *(32,) * 2, *(64,) * 3, *(96,) * 3, *(160,) * 5)
_EXPANSIONS = tuple(n for n in range(1, len(_STEPS)) if _STEPS[n] > _STEPS[n - 1])


def method(lab: Lab) -> float:
    """Measure the linear design; the widths of timm's network are linear."""
    check_family(lab, ReXNet)
    if lab.seed == 0:
        due = [round(16 + 180 * number / 16) for number in range(16)]
        wrong = sum(width != expected for width, expected in zip(_linear(), due, strict=True))
        lab.check("blocks whose width is not 16 + 180 i / 16", wrong, "=", 0)
        sizes = [count_parameters(_network(widths)) for widths in (_linear(), _stepwise())]
        lab.check("parameters of the stepwise design in parts", sizes[1] / sizes[0], ">", 0.99)
        lab.check("again", sizes[1] / sizes[0], "<", 1.01)
    return _rank(lab, _linear())


def baseline(lab: Lab) -> float:
    """Measure the stepwise design."""
    return _rank(lab, _stepwise())


@torch.no_grad()
def _rank(lab: Lab, widths: Sequence[int]) -> float:
    x = pixels(np.stack(lab.photos(64 if lab.smoke else 224))) * 4 - 2
    found = []
    for number, layer in enumerate(_network(widths).train(), start=-1):
        x = layer(x)
        if number in _EXPANSIONS:
            energy = torch.linalg.svdvals(x.transpose(0, 1).flatten(1).double()).square()
            shares = energy[energy > 0] / energy.sum()
            found.append(float(torch.exp(-(shares * shares.log()).sum())))
    return float(np.mean(found))


def _linear() -> list[int]:
    return [width for width, *_ in _plan()]


def _stepwise() -> list[int]:
    """MobileNetV2's widths times what brings the parameters closest to the linear design's."""
    return [round(width * 1.09) for width in _STEPS]


def _plan() -> list[Any]:
    import_timm("rexnet")
    from timm.models.rexnet import _block_cfg

    return list(_block_cfg())


def _network(widths: Sequence[int]) -> nn.Sequential:
    plan = [(width, *rest) for width, (_, *rest) in zip(widths, _plan(), strict=True)]
    from timm.layers import ConvNormAct  # type: ignore[attr-defined]
    from timm.models.rexnet import _build_blocks

    blocks, _ = _build_blocks(plan, 16, 1.0)
    stem = ConvNormAct(3, 16, 3, stride=2, act_layer="swish")
    return nn.Sequential(stem, *blocks[:-1])  # without the layer before the classifier
