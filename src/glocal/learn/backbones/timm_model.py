"""Any convolutional network of timm as a backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone, Level
from glocal.learn.receptive import measured_offsets
from glocal.learn.timm_package import import_timm

_WANTED = (8, 16, 32)


class TimmBackbone(Backbone):
    """A timm network with its feature maps at strides 8, 16 and 32.

    The centres of receptive fields are measured when the backbone is built, because the networks
    pad in many ways.

    Args:
        model: timm's name of the network, such as ``resnet50.a1_in1k``.
        weights: ``imagenet`` for timm's weights of that name, ``none`` for random ones.

    Raises:
        LearnError: timm does not know the model, or the model lacks those feature maps.
        MissingExtraError: timm, or torchvision, which it imports, is not installed.
    """

    def __init__(self, model: str, *, weights: str = "imagenet") -> None:
        super().__init__()
        timm = import_timm(f"the backbone timm:{model}")
        if weights not in {"imagenet", "none"}:
            raise LearnError(
                f"weights of a timm backbone have to be imagenet or none, not {weights!r}"
            )
        try:
            network: Any = timm.create_model(
                model, pretrained=weights == "imagenet", features_only=True
            )
        except (RuntimeError, ValueError, AttributeError) as error:
            raise LearnError(f"timm cannot create {model} with feature maps: {error}") from error
        strides = list(network.feature_info.reduction())
        if not set(_WANTED) <= set(strides):
            raise LearnError(
                f"{model} has feature maps at strides {strides}, not {_WANTED}; use another model"
            )
        picks = [strides.index(stride) for stride in _WANTED]
        widths = [network.feature_info.channels()[pick] for pick in picks]
        # One stage computes everything: timm's networks have no common division into stages.
        self.stages = nn.ModuleList([network])
        self._picks = picks
        pixels = timm.get_pretrained_cfg(model)
        mean, spread = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (pixels.mean, pixels.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.levels = tuple(
            Level(stride, width, 0.0) for stride, width in zip(_WANTED, widths, strict=True)
        )
        offsets = measured_offsets(self)
        self.levels = tuple(
            Level(level.stride, level.width, offset)
            for level, offset in zip(self.levels, offsets, strict=True)
        )

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] to the range that the weights were trained with."""
        mean, spread = self.get_buffer("mean"), self.get_buffer("spread")
        return (image - mean) / spread

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the feature maps of normalised pixels."""
        found = self.stages[0](pixels)
        return [found[pick] for pick in self._picks]
