"""Any network of timm that has feature maps as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone, Level
from glocal.learn.receptive import measured_offsets
from glocal.learn.timm_package import import_timm

_FINEST = 8


class TimmBackbone(Backbone):
    """A timm network with its feature maps at strides 8, 16 and 32.

    A network that lacks one of these strides gives its own of 8 and more: EfficientViM 16, 32 and
    64, a vision transformer three maps of its last blocks, all of one stride. Maps come from timm's
    ``features_only``, or, where timm refuses that, from the network's ``forward_intermediates``.

    Some networks do not take images of any size. Those that divide maps into windows of a fixed
    size need sides that are multiples of the side they were made for, which `multiple` says. Those
    that take images of one size only get images resized to it, and their maps resized back; timm's
    option ``img_size`` chooses that size where the network has it.

    The centres of receptive fields are measured when the backbone is built, because the networks
    pad in many ways.

    Args:
        model: timm's name of the network, such as ``resnet50.a1_in1k``.
        weights: ``imagenet`` for timm's weights of that name, ``none`` for random ones.
        options: further arguments of ``timm.create_model``.

    Raises:
        LearnError: timm does not know the model or an option, or the model has no such maps.
        MissingExtraError: timm, or torchvision, which it imports, is not installed.
    """

    strides: ClassVar[tuple[int, ...]] = (8, 16, 32)

    def __init__(self, model: str, *, weights: str = "imagenet", **options: Any) -> None:
        super().__init__()
        timm = import_timm(f"the backbone timm:{model}")
        if weights not in {"imagenet", "none"}:
            raise LearnError(
                f"weights of a timm backbone have to be imagenet or none, not {weights!r}"
            )
        network = _network(timm, model, pretrained=weights == "imagenet", options=options)
        strides, widths = network.feature_info.reduction(), network.feature_info.channels()
        self._picks = _picks(strides, self.strides)
        if not self._picks:
            raise LearnError(
                f"{model} has feature maps at strides {strides}, none of {_FINEST} pixels or more; "
                "use another model"
            )
        # One stage computes everything: timm's networks have no common division into stages.
        self.stages = nn.ModuleList([network])
        pixels = timm.get_pretrained_cfg(model)
        mean, spread = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (pixels.mean, pixels.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.levels = tuple(Level(strides[pick], widths[pick], 0.0) for pick in self._picks)
        made_for = options.get("img_size", pixels.input_size[-1])
        self.eval()  # trying sizes leaves running statistics as they are
        self._multiple, self.side = _sizes(model, self._run, strides[self._picks[-1]], made_for)
        self.train()
        offsets = measured_offsets(self)
        self.levels = tuple(
            Level(level.stride, level.width, offset)
            for level, offset in zip(self.levels, offsets, strict=True)
        )

    @property
    def multiple(self) -> int:
        """Height and width of an image have to be multiples of this many pixels."""
        return self._multiple

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] to the range that the weights were trained with."""
        mean, spread = self.get_buffer("mean"), self.get_buffer("spread")
        return (image - mean) / spread

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the feature maps of normalised pixels."""
        if self.side is None:
            return self._run(pixels)
        height, width = pixels.shape[2:]
        found = self._run(_resized(pixels, (self.side, self.side)))
        return [
            _resized(feature_map, (height // level.stride, width // level.stride))
            for level, feature_map in zip(self.levels, found, strict=True)
        ]

    def _run(self, pixels: Tensor) -> list[Tensor]:
        found = self.stages[0](pixels)
        return [found[pick] for pick in self._picks]


def _network(timm: Any, model: str, *, pretrained: bool, options: dict[str, Any]) -> Any:
    """The network with its feature maps, the second way if timm refuses the first."""
    refused = []
    for way in ({}, {"feature_cls": "getter"}):
        try:
            return timm.create_model(
                model, pretrained=pretrained, features_only=True, **way, **options
            )
        except (RuntimeError, ValueError, AttributeError, TypeError, AssertionError) as error:
            refused.append(str(error))
    raise LearnError(
        f"timm cannot create {model} with feature maps: {'; nor by its layers: '.join(refused)}"
    )


def _picks(strides: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Numbers of the maps to give: of the strides that are wanted, or of those there are."""
    coarse = [number for number, stride in enumerate(strides) if stride >= _FINEST]
    last = {strides[number]: number for number in coarse}  # the deepest of each stride
    if set(wanted) <= set(strides):
        return [len(strides) - 1 - strides[::-1].index(stride) for stride in wanted]
    return sorted(last.values()) if len(last) > 1 else coarse[-3:]


def _sizes(model: str, run: Any, stride: int, made_for: int) -> tuple[int, int | None]:
    """What sides have to be multiples of, and the only side of images if there is just one."""

    def takes(height: int, width: int) -> bool:
        try:
            with torch.no_grad():
                coarsest = run(torch.zeros(1, 3, height, width))[-1]
        except (RuntimeError, ValueError, AssertionError):
            return False
        return tuple(coarsest.shape[2:]) == (height // stride, width // stride)

    if takes(stride, 2 * stride):
        return stride, None
    if takes(made_for, 2 * made_for):
        return made_for, None
    if takes(made_for, made_for):
        return stride, made_for
    raise LearnError(
        f"{model} gives no feature maps of stride {stride} for images of {made_for}x{made_for} "
        "pixels; use another model"
    )


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(pixels, size, mode="bilinear", align_corners=False)
