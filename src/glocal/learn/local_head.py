"""Trained local features: detector and descriptor over two feature maps of the backbone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Level, Local
from glocal.learn.receptive import picked_centres

_SUPPRESSED = 1e-3  # factor of scores beside a higher one


class LocalHead(nn.Module):
    """Keypoints, descriptors and scores from the two finest feature maps.

    Each cell of the finest map has one keypoint, moved by up to one cell from the centre of the
    receptive field, one descriptor, and the probability that the descriptor finds the same point
    in another photo (as the reliability of Revaud et al., R2D2, NeurIPS 2019). A cell whose score
    is not the highest of the 3x3 around it comes last. No gradient flows into the backbone, so
    that the vector stays as it is.

    Args:
        levels: levels of the backbone's feature maps; the first two are used.
        dim: length of the descriptors.
        count: number of local features kept per image.
        width: channels between.
    """

    def __init__(
        self, levels: Sequence[Level], *, dim: int = 48, count: int = 128, width: int = 96
    ) -> None:
        super().__init__()
        fine, coarse = levels[0], levels[1]
        self.level, self.count = fine, count
        self.ratio = coarse.stride // fine.stride
        self.fine = nn.Conv2d(fine.width, width, 1)
        self.coarse = nn.Conv2d(coarse.width, width, 1)
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)
        self.descriptor = nn.Conv2d(width, dim, 1)
        self.point = nn.Conv2d(width, 3, 1)

    def dense(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Everything about every cell of the finest map.

        Returns:
            Unit descriptors ``(b, e, h, w)``, logits of the scores ``(b, h, w)``, and how far the
            keypoints are moved, x and y in cells, ``(b, 2, h, w)`` in [-1, 1].
        """
        fine, coarse = maps[0].detach(), maps[1].detach()
        above = functional.interpolate(
            self.coarse(coarse), scale_factor=self.ratio, mode="bilinear", align_corners=False
        )
        x = functional.relu(self.fine(fine) + above)
        x = functional.relu(self.mix(functional.relu(self.around(x))) + x)
        unit = functional.normalize(self.descriptor(x).float(), dim=1)
        point = self.point(x).float()
        return unit, point[:, 0], point[:, 1:].tanh()

    def forward(self, maps: Sequence[Tensor]) -> Local:
        """Pick the cells with the highest scores."""
        unit, logits, moved = self.dense(maps)
        scores = logits.sigmoid()
        highest = functional.max_pool2d(scores[:, None], 3, stride=1, padding=1)[:, 0]
        scores = torch.where(scores >= highest, scores, scores * _SUPPRESSED)
        # Unlike top-k, sorting and cutting leaves the number of cells open in an ONNX graph.
        ordered, places = scores.flatten(1).sort(dim=1, descending=True)
        ordered, places = ordered[:, : self.count], places[:, : self.count]
        centres = picked_centres(self.level, places, unit)
        height, width = unit.shape[2:]
        sides = torch.tensor([width, height], dtype=torch.float32, device=unit.device)
        shift = moved.flatten(2).gather(2, places[:, None].expand(-1, 2, -1)).transpose(1, 2)
        keypoints = (centres + shift / sides).clamp(0, 1)
        index = places[:, None].expand(-1, unit.shape[1], -1)
        descriptors = unit.flatten(2).gather(2, index).transpose(1, 2)
        return Local(keypoints, descriptors, ordered)
