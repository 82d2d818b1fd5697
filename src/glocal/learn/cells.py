"""Untrained local features: the cells of a feature map that differ from their neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Level, Local
from glocal.learn.heads.delf import local_level
from glocal.learn.heads.strongest import pick_strongest
from glocal.learn.heads.whitening import Whitening


class Cells(nn.Module):
    """Keypoints and descriptors for models whose head has no local features.

    The score of a cell is the distance of its feature from the mean of the 3x3 cells around it.
    The descriptor is the cell's unit feature, whitened; until `whitening` is fitted to such
    features, it is a random rotation of them. No gradient flows into the backbone.

    Args:
        levels: levels of the backbone's feature maps; the one before the coarsest is used.
        dim: length of the descriptors.
        count: number of local features kept per image.
    """

    def __init__(self, levels: Sequence[Level], *, dim: int = 48, count: int = 128) -> None:
        super().__init__()
        self.level, self.count = local_level(levels), count
        self.whitening = Whitening(self.level.width, min(dim, self.level.width))

    def forward(self, maps: Sequence[Tensor]) -> Local:
        """Pick the highest-scoring cells of the feature map before the coarsest."""
        feature_map = maps[-2] if len(maps) > 1 else maps[-1]
        x = feature_map.detach().float()
        around = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        scores = torch.linalg.vector_norm(x - around, dim=1)
        unit = functional.normalize(x, dim=1)
        local, _ = pick_strongest(self.level, unit, scores, self.count)
        return Local(local.keypoints, self.whitening(local.descriptors), local.scores)
