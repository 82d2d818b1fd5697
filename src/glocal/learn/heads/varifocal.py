"""Varifocal-Net: a box proposed by the global pass is zoomed into and encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Level, Output, TwoPassHead
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.heads.whitening import Whitening


class Varifocal(TwoPassHead):
    """The varifocal mechanism (Qin et al., 2019).

    A localisation subnet on the global features proposes a square box by its centre and side. The
    box is zoomed to a fixed size and encoded again; global and local features are concatenated.
    The box learns from the labels alone: cutting it out by bilinear interpolation passes gradients.

    Deviations: one backbone encodes both scales, where the paper has G-Net and L-Net. The centre is
        the mean position under a softmax of cell scores, where the paper regresses it by a fully
        connected layer, which fits images of one size only; only the side is regressed. The
        paper's first phase, in which the box is taught by given regions, is up to the caller:
        `boxes` passes gradients, and the method's trial does it. Multi-task losses and the
        dispatch of chromosomes are left out.

    Args:
        levels: levels of the backbone's feature maps; the last is used.
        dim: length of the vector; half of it is global and half local.
        cells: side of the scaled crop, in cells of the coarsest map.
        least: least side of the box, as a fraction of the image.
        most: largest side of the box.

    Raises:
        LearnError: the vector has fewer than two numbers, or ``least`` and ``most`` leave no box.
    """

    fixed_size: ClassVar[bool] = True  # where the crop is taken depends on the image's size

    mirrors: ClassVar[bool] = False  # the crop's interpolation is only nearly mirrored

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        cells: int = 7,
        least: float = 0.25,
        most: float = 0.75,
    ) -> None:
        super().__init__()
        width = levels[-1].width
        if dim < 2 or not 0 < least < most <= 1:
            raise LearnError(
                f"{dim} dimensions and boxes of {least} to {most} of the image do not fit; use "
                "two or more dimensions and 0 < least < most <= 1"
            )
        self.dim, self.crop_side = dim, cells * levels[-1].stride
        self.least, self.most = least, most
        self.place = nn.Conv2d(width, 1, 1)
        self.side = nn.Linear(width, 1)
        self.whole, self.part = Whitening(width, dim - dim // 2), Whitening(width, dim // 2)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """The first pass: global features and the box."""
        x = maps[-1].float()
        pooled = functional.normalize(generalised_mean(x, 3.0), dim=-1)
        scores = self.place(functional.normalize(x, dim=1) * 8).float()
        weights = scores.flatten(1).softmax(dim=1).reshape(scores[:, 0].shape)
        vector = self.whole(pooled)
        kept = {"whole": vector, "box": self._box(weights, self.side(pooled)[:, 0])}
        both = functional.pad(vector, (0, self.dim // 2))
        return Output(both, attention=weights, kept=kept)

    def boxes(self, output: Output) -> Tensor:
        """The proposed boxes, wholly inside the image."""
        return output.kept["box"]

    def fuse(self, output: Output, maps: Sequence[Tensor]) -> Output:
        """Concatenate the global vector with that of the crop, with equal weight."""
        pooled = functional.normalize(generalised_mean(maps[-1].float(), 3.0), dim=-1)
        both = torch.cat([output.kept["whole"], self.part(pooled)], dim=1)
        return replace(output, vector=functional.normalize(both, dim=-1))

    def _box(self, weights: Tensor, size: Tensor) -> Tensor:
        height, width = weights.shape[1:]
        across = (torch.arange(width, device=weights.device) + 0.5) / width
        down = (torch.arange(height, device=weights.device) + 0.5) / height
        centre = torch.stack(
            [(weights.sum(dim=1) * across).sum(dim=1), (weights.sum(dim=2) * down).sum(dim=1)], 1
        )
        half = (self.least + (self.most - self.least) * size.float().sigmoid()[:, None]) / 2
        centre = torch.minimum(torch.maximum(centre, half), 1 - half)
        return torch.cat([centre - half, centre + half], dim=1)
