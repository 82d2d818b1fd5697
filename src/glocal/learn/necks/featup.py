"""FeatUp: feature maps at a higher resolution, guided by the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.blocks.neighbourhoods import zero_padded


class GuidedUpsampling(nn.Module):
    """Joint bilateral upsampling that downsampling undoes (Fu et al., 2024).

    A fine cell ``p`` is a mean of the coarse cells ``q`` around it, weighted by how near they are
    and how similar the image ``G`` is, ``exp(-|p - q|^2 / 2 s^2) exp(-|G(p) - G(q)|^2 / 2 r^2)``,
    so that features change where the image does. What averaging the fine map over each coarse cell
    leaves to the coarse map is then added to all its fine cells: averaging returns the original
    features exactly.

    Deviations: the paper trains the guidance and a downsampler so that views of an image agree, and
        reaches consistency by its loss; here the two widths ``s`` and ``r`` are the only
        parameters, the downsampler is the average, and consistency is exact by construction. There
        is one step to the full resolution where the paper has four of a factor 2, and no implicit
        variant.

    Args:
        factor: how much finer the new map is.
        radius: reach of the mean, in coarse cells.
        near: width ``s`` at the start, in coarse cells.
        similar: width ``r`` at the start, for images in [0, 1].
    """

    def __init__(
        self, *, factor: int = 4, radius: int = 2, near: float = 0.6, similar: float = 0.1
    ) -> None:
        super().__init__()
        if factor < 2 or radius < 1:
            raise LearnError(
                f"upsampling by {factor} with a reach of {radius} is impossible; use a factor of 2 "
                "or more and a reach of 1 or more"
            )
        self.factor, self.radius = factor, radius
        self.near = nn.Parameter(torch.tensor(near).log())
        self.similar = nn.Parameter(torch.tensor(similar).log())

    def forward(self, feature_map: Tensor, image: Tensor) -> Tensor:
        """Upsample a feature map.

        Args:
            feature_map: ``(b, c, h, w)``.
            image: ``(b, 3, H, W)`` in [0, 1]; averaged to ``factor`` times the map's sides.

        Returns:
            ``(b, c, factor * h, factor * w)``, whose averages over cells are the feature map.
        """
        height, width = feature_map.shape[2:]
        sides = (self.factor * height, self.factor * width)
        guide = functional.adaptive_avg_pool2d(image, sides)
        raised = self._mean(feature_map, guide)
        left = feature_map - functional.avg_pool2d(raised, self.factor)
        return raised + functional.interpolate(left, scale_factor=float(self.factor))

    def _mean(self, feature_map: Tensor, guide: Tensor) -> Tensor:
        """The weighted means of the coarse cells around each fine one."""
        kernel = 2 * self.radius + 1
        coarse = functional.avg_pool2d(guide, self.factor)
        inside = torch.ones_like(feature_map[:1, :1])
        places = (torch.arange(self.factor, device=guide.device) + 0.5) / self.factor - 0.5
        summed, total = 0.0, 0.0
        neighbours = zip(
            *(zero_padded(each, kernel) for each in (feature_map, coarse, inside)), strict=True
        )
        for number, (features, colours, valid) in enumerate(neighbours):
            row, column = divmod(number, kernel)
            down = (places - (row - self.radius)).square()
            across = (places - (column - self.radius)).square()
            apart = (down[:, None] + across).repeat(feature_map.shape[2:])
            differs = (guide - self._enlarged(colours)).square().sum(dim=1, keepdim=True)
            weight = (
                -apart / (2 * self.near.exp().square())
                - differs / (2 * self.similar.exp().square())
            ).exp() * self._enlarged(valid)
            summed = summed + weight * self._enlarged(features)  # type: ignore[assignment]
            total = total + weight  # type: ignore[assignment]
        found: Tensor = summed / (total + 1e-12)  # type: ignore[assignment]
        return found

    def _enlarged(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=float(self.factor))
