"""Filters transformed by sampled elements of GL+(2), decomposed into rotations and stretches."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Block, Role


class LieGroupConvolution(Block):
    """A lifting convolution over GL+(2, R), pooled over the group (Mironenco and Forré, 2023).

    The group is not compact and its exponential map not surjective, so it is decomposed, by the
    polar decomposition ``g = R S``, into rotations ``R`` of SO(2) and positive definite stretches
    ``S = exp(X)`` with a symmetric ``X``; both are sampled by themselves. Each filter ``k`` is
    resampled as ``k(g^-1 x) / det g`` for every sampled ``g``, and the mean of the rectified
    responses over the group is kept. So a warped image gives nearly the same pooled features.

    Deviations: one lifting layer that is pooled at once, without the group convolutions in between;
        filters are grids that are interpolated bilinearly, where the paper has networks of
        coordinates; the samples of ``X`` are fixed (isotropic scales and shears around 0), not
        drawn anew.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1 or 2.
        rotations: sampled rotations.
        reach: largest logarithm of a stretch; 0 for rotations alone.
        kernel: side of the filters, an odd number; a stretched filter is cut at it.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True
    strides: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        rotations: int = 8,
        reach: float = 0.4,
        kernel: int = 7,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        self.kernel = kernel
        coarse = torch.randn(self.out, width, kernel // 2 + 1, kernel // 2 + 1)
        smooth = functional.interpolate(coarse, (kernel, kernel), mode="bilinear")
        self.weight = nn.Parameter(smooth / (kernel * math.sqrt(width)))  # grids can be resampled
        elements = sampled_elements(rotations, reach)
        inverse = torch.linalg.inv(elements)
        flat = functional.affine_grid(
            torch.cat([inverse, torch.zeros(len(inverse), 2, 1)], dim=2),
            [len(inverse), 1, kernel, kernel],
            align_corners=True,
        )
        self.register_buffer("grids", flat)  # (elements, kernel, kernel, 2)
        self.register_buffer("scales", 1 / torch.linalg.det(elements))
        line = torch.linspace(-1, 1, kernel)
        inside = (line[:, None].square() + line.square() <= 1.0).float()
        self.register_buffer("inside", inside)  # a disc, which rotations keep

    def filters(self) -> Tensor:
        """The resampled filters, ``(elements, out, width, kernel, kernel)``."""
        grids, scales = self.get_buffer("grids"), self.get_buffer("scales")
        flat = (self.weight * self.get_buffer("inside")).flatten(0, 1)[None]
        made = functional.grid_sample(
            flat.expand(len(grids), -1, -1, -1), grids, align_corners=True
        )
        made = made * scales[:, None, None, None]
        return made.reshape(len(grids), *self.weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the rectified responses over the sampled elements: an integral over them."""
        filters = self.filters()
        half = self.kernel // 2
        found = functional.conv2d(x, filters.flatten(0, 1), None, self.stride, half)
        return (
            found.relu().reshape(x.shape[0], len(filters), self.out, *found.shape[2:]).mean(dim=1)
        )


def sampled_elements(rotations: int, reach: float) -> Tensor:
    """Elements ``R exp(X)`` of GL+(2), ``(n, 2, 2)``.

    Args:
        rotations: number of rotations, evenly over the circle.
        reach: largest entry of ``X``; scales and stretches along both axes and both diagonals.
    """
    symmetric = [torch.zeros(2, 2)]
    if reach > 0:
        one, axis, diagonal = torch.eye(2), torch.diag(torch.tensor([1.0, -1.0])), torch.ones(2, 2)
        diagonal = diagonal - torch.eye(2)
        symmetric += [sign * reach * each for each in (one, axis, diagonal) for sign in (1, -1)]
    stretches = torch.linalg.matrix_exp(torch.stack(symmetric))
    angles = torch.arange(rotations) * 2 * math.pi / rotations
    turns = torch.stack(
        [torch.stack([angles.cos(), -angles.sin()]), torch.stack([angles.sin(), angles.cos()])]
    ).permute(2, 0, 1)
    return (turns[:, None] @ stretches[None]).flatten(0, 1)  # type: ignore[no-any-return]
