"""TiC trained on images of one size tells them apart at another, which positions do not let.

What it is compared with is the same network with what the paper wants to replace: attention to all
cells, and learned positions that are resampled for the other size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.attention import SelfAttention, like, tokens
from glocal.learn.backbones.tic import MsaConv, TicTiny
from glocal.learn.contracts import Backbone
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="accuracy on digits of 64 pixels after training on digits of 32 pixels",
    baseline="accuracy with attention to all cells and positions that are resampled",
    unit="per cent",
    comparison=">",
    margin=0.0,
    seeds=5,
)
_STEPS, _TRAINED, _OTHER = 80, 32, 64


def method(lab: Lab) -> float:
    """Windows; images of several sizes, training, export and search."""
    if lab.seed == 0:
        trunk = TicTiny().eval()
        with torch.no_grad():
            for height, width in ((32, 32), (64, 160), (224, 96)):
                found = trunk(torch.rand(1, 3, height, width))[-1]
                what = f"finite cells of the last map for an image of {width}x{height} pixels"
                lab.check(what, int(found[0, 0].isfinite().sum()), "=", height * width // 1024)
        check_use(lab, TicTiny)
    return _accuracy(lab, TicTiny())


def baseline(lab: Lab) -> float:
    """Attention to all cells, and positions."""
    return _accuracy(lab, _WithPositions())


class _Global(nn.Module):
    """Attention to all cells of a map."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)

    def forward(self, x: Tensor) -> Tensor:
        return like(self.attention(tokens(x)), x)


class _WithPositions(TicTiny):
    """The same network with attention to all cells, and positions in the first map."""

    def __init__(self) -> None:
        super().__init__()
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, MsaConv):
                    setattr(module, name, _Global(child.join.in_features, child.heads))
        side = _TRAINED // 4
        self.positions = nn.Parameter(torch.randn(1, self.widths[0], side, side) * 0.02)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        found = []
        for number, stage in enumerate(self.stages):
            for layer in _flat(stage):
                pixels = layer(pixels)
                # After the last layer that makes the map smaller.
                if number == 0 and pixels.shape[1] == self.widths[0]:
                    pass
            found.append(pixels)
        return found
