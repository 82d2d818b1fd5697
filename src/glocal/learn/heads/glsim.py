"""GLSim: re-encode the region whose cells are most similar to the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Level, Output, TwoPassHead
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.heads.whitening import Whitening


class GlSim(TwoPassHead):
    """Global-local similarity picks a crop, which is re-encoded and fused (Rios, Hu and Lai, 2024).

    With ``g`` the global representation of an image and ``l_i`` that of its patches, the ``top``
    patches of highest ``cos(g, l_i)`` are taken; the smallest box that holds them is cut out,
    scaled, and encoded by the same encoder. An aggregator, one transformer layer, refines the
    global representations of both passes together.

    Deviations: the paper's encoder is a vision transformer, ``g`` its class token and ``l_i`` its
        patch tokens. Here patches are the cells of the coarsest map and ``g`` is their generalised
        mean. Both refined tokens are projected to the vector, where the paper classifies;
        the aggregator has one attention head.

    Args:
        levels: levels of the backbone's feature maps; the last is used.
        dim: length of the vector.
        top: number of cells that the crop holds.
        cells: side of the scaled crop, in cells of the coarsest map.
        width: width of the aggregator's tokens.
    """

    mirrors: ClassVar[bool] = False  # a crop of the mirrored image need not be the mirrored crop

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        top: int = 8,
        cells: int = 7,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.dim, self.top, self.crop_side = dim, top, cells * levels[-1].stride
        self.narrow = nn.Linear(levels[-1].width, width)
        self.aggregator = nn.TransformerEncoderLayer(
            width, 1, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.whitening = Whitening(2 * width, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """The first pass: the global representation, and each cell's similarity to it."""
        x = maps[-1].float()
        whole = generalised_mean(x, 3.0)
        similar = functional.cosine_similarity(x, whole[:, :, None, None], dim=1)
        return Output(self._fused(whole, whole), attention=similar.clamp(min=0),
                      kept={"whole": whole, "similar": similar.detach()})  # fmt: skip

    def boxes(self, output: Output) -> Tensor:
        """The smallest box that holds the most similar cells."""
        similar = output.kept["similar"]
        height, width = similar.shape[1:]
        best = similar.flatten(1).topk(min(self.top, height * width), dim=1).indices
        rows, columns = best.div(width, rounding_mode="floor"), best % width
        edges = [columns.amin(1) / width, rows.amin(1) / height]
        edges += [(columns.amax(1) + 1) / width, (rows.amax(1) + 1) / height]
        return torch.stack(edges, dim=1).to(similar.dtype)

    def fuse(self, output: Output, maps: Sequence[Tensor]) -> Output:
        """Refine the representations of image and crop together."""
        whole = output.kept["whole"]
        return replace(output, vector=self._fused(whole, generalised_mean(maps[-1].float(), 3.0)))

    def _fused(self, whole: Tensor, crop: Tensor) -> Tensor:
        tokens = torch.stack([whole, crop], dim=1)
        refined = self.aggregator(self.narrow(functional.normalize(tokens, dim=-1)))
        found: Tensor = self.whitening(refined.flatten(1))
        return found
