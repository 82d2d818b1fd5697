"""InceptionNeXt takes less time than with 7x7 depthwise convolutions; sizes, training, export."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from glocal.learn.backbones.timm_families import InceptionNeXt
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="time of a training step of InceptionNeXt-A, of its four-branch convolutions",
    baseline="the same of its twin with depthwise 7x7 convolutions",
    unit="ms of the processor",
    comparison="<",
    margin=10,
    seeds=5,
)


def method(lab: Lab) -> float:
    """Time the network; its convolution is the four branches, one channel at a time."""
    check_family(lab, InceptionNeXt)
    if lab.seed == 0:
        lab.check("deviation of the convolution from its branches", _deviation(), "<", 1e-9)
    return _milliseconds(lab, _network())


def baseline(lab: Lab) -> float:
    """Put depthwise 7x7 convolutions, as in ConvNeXt, into the same network."""
    network = _network()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "InceptionDWConv2d":
                width = sum(child.split_indexes)
                setattr(module, name, nn.Conv2d(width, width, 7, padding=3, groups=width))
    return _milliseconds(lab, network)


def _network() -> Any:
    return import_timm("inceptionnext").create_model("inception_next_atto")


def _milliseconds(lab: Lab, network: Any) -> float:
    """The least of some steps forwards and backwards: what else runs only adds to it."""
    images, found = torch.rand(2, 3, 96 if lab.smoke else 224, 96 if lab.smoke else 224), []
    for _ in range(1 if lab.smoke else 6):
        started = time.process_time()
        network(images).sum().backward()
        found.append(1000 * (time.process_time() - started))
    return min(found)


@torch.no_grad()
def _deviation() -> float:
    import_timm("inceptionnext")
    from timm.models.inception_next import InceptionDWConv2d

    layer = InceptionDWConv2d(16).double()
    x = torch.randn(2, 16, 14, 13, dtype=torch.float64)
    channels: list[Tensor] = [x[:, channel, None] for channel in range(10)]
    for conv, first in ((layer.dwconv_hw, 10), (layer.dwconv_w, 12), (layer.dwconv_h, 14)):
        for number in range(2):
            weight, shift = conv.weight[number, None], conv.bias[number, None]
            alone = x[:, first + number, None]
            channels.append(nn.functional.conv2d(alone, weight, shift, padding=conv.padding))
    return float((layer(x) - torch.cat(channels, dim=1)).abs().max())
