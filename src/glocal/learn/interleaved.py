"""Images and words in one query, answered with images and with masks, over frozen embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError

TEMPERATURE = 0.07
_SHARPNESS = 10.0
"""By which cosines of entities and cells begin to be multiplied."""


class InterleavedInterface(nn.Module):
    """A small transformer between frozen encoders and what is asked of them.

    Zou, Li, Yang, Li, Li, Li, Wang, Lee and Gao, Interfacing Foundation Models' Embeddings (FIND),
    2024. Prompts P (things that are shown or said) and an image's cells X are embeddings of frozen
    models. A learnt token q joins either, and attention masks M say who may look at whom:

        [v, C] = T([q, X]; M_image),   [u, E] = T([q, P]; M_query)

    with one transformer T for both. Gallery hits are the cosines of u, of the whole interleaved
    query, and v, of an image; the mask of entity k is ``σ(s cos(E_k, C_ij) + b)``. The masks M let
    q see everything, a cell all cells and an entity itself alone: v and C do not depend on the
    query and can be indexed, and an entity means the same in each query.

    Deviations: a frozen text encoder gives one vector a thing, where the paper's gives tokens, and
    one learnt token asks, where the paper has several for each task. Masks have the resolution of
    the finest map that is given. Trained here it is a toy; the class takes any encoders' maps and
    text vectors.

    Args:
        channels: of the image encoder's feature maps, fine to coarse; all are used.
        text_dim: length of the text encoder's vectors.
        dim: length of the vectors that are compared.
        width: of the transformer.
        layers: of the transformer.
        heads: of its attention.
        dropout: share of numbers that are left out in training.
    """

    name = "find"

    def __init__(
        self,
        channels: Sequence[int],
        text_dim: int,
        *,
        dim: int = 128,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        numbers = (*channels, text_dim, dim, width, layers, heads)
        if not channels or min(numbers) < 1 or width % heads:
            raise LearnError(
                f"{len(channels)} feature maps, texts of {text_dim} numbers, {layers} layers and "
                f"{heads} heads of a width of {width} make no interface; give at least one of "
                "each, and a width that the heads divide"
            )
        self.settings: dict[str, Any] = {
            "channels": list(channels), "text_dim": text_dim, "dim": dim, "width": width,
            "layers": layers, "heads": heads, "dropout": dropout,
        }  # fmt: skip
        self.dim, self.text_dim = dim, text_dim
        self.from_maps = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(each), nn.Linear(each, width)) for each in channels
        )
        self.from_text = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, width))
        self.asking = nn.Parameter(0.02 * torch.randn(width))
        self.kinds = nn.Parameter(0.02 * torch.randn(3, width))  # cell, shown, said
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.to_image = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))
        self.to_region = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))
        self.bias = nn.Parameter(torch.tensor(-_SHARPNESS / 2))

    def gallery(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Vectors ``(b, dim)`` and cells ``(b, h, w, dim)`` to be indexed, of unit length.

        Args:
            maps: of the frozen encoder, ``(b, c, h, w)`` each, fine to coarse.

        Raises:
            LearnError: they are not the maps that the interface was made for.
        """
        cells = self._cells(maps)
        batch, height, width, _ = cells.shape
        out = self._transformed(cells.flatten(1, 2) + self.kinds[0], all_see_each_other=True)
        vectors = functional.normalize(self.to_image(out[:, 0]), dim=-1)
        regions = functional.normalize(self.to_region(out[:, 1:]), dim=-1)
        return vectors, regions.reshape(batch, height, width, self.dim)

    def shown(self, maps: Sequence[Tensor], masks: Tensor) -> Tensor:
        """Prompts ``(b, width)`` of things in images.

        Args:
            maps: as in `gallery`.
            masks: ``(b, h, w)`` of the finest map: the share of each cell that the thing covers.

        Raises:
            LearnError: the maps do not fit, or a mask is empty.
        """
        cells = self._cells(maps)
        if masks.shape != cells.shape[:3]:
            raise LearnError(
                f"masks of {tuple(masks.shape)} do not fit cells of {tuple(cells.shape[:3])}; give "
                "one number a cell of the finest map"
            )
        weights = masks.flatten(1).to(cells.dtype)
        total = weights.sum(1, keepdim=True)
        if not bool((total > 0).all()):
            raise LearnError("a mask is empty, so that it shows nothing; cover at least one cell")
        found: Tensor = torch.einsum("bn,bnc->bc", weights / total, cells.flatten(1, 2))
        return found + self.kinds[1]

    def said(self, texts: Tensor) -> Tensor:
        """Prompts ``(b, width)`` of things in words, of the text encoder's vectors ``(b, k)``.

        Raises:
            LearnError: they have another length.
        """
        if texts.shape[-1] != self.text_dim:
            raise LearnError(
                f"vectors of texts have {texts.shape[-1]} numbers, and this interface takes "
                f"{self.text_dim}; encode them by the text encoder that it was trained with"
            )
        found: Tensor = self.from_text(texts)
        return found + self.kinds[2]

    def queries(self, prompts: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Queries ``(b, dim)`` and their entities ``(b, k, dim)``, of unit length.

        Args:
            prompts: ``(b, k, width)``, of `shown` and `said` in any mixture; order says nothing.
            present: ``(b, k)`` bool, `False` for padding; `None` where there is none.
        """
        out = self._transformed(prompts, all_see_each_other=False, present=present)
        query = functional.normalize(self.to_image(out[:, 0]), dim=-1)
        return query, functional.normalize(self.to_region(out[:, 1:]), dim=-1)

    def masks(self, entities: Tensor, cells: Tensor) -> Tensor:
        """Logits ``(b, k, h, w)``: above 0 where an image shows an entity.

        Args:
            entities: ``(b, k, dim)`` of `queries`.
            cells: ``(b, h, w, dim)`` of `gallery`.
        """
        cosines = torch.einsum("bkd,bhwd->bkhw", entities, cells)
        return cosines * self.sharpness + self.bias

    def loss(
        self,
        images: tuple[Tensor, Tensor],
        queries: tuple[Tensor, Tensor],
        answers: Tensor,
        covered: Tensor,
    ) -> Tensor:
        """Contrast of queries and images in a batch, and of masks and the cells that are covered.

        Args:
            images: of `gallery`, ``b`` of them.
            queries: of `queries`, as many, the i-th of which the i-th image answers.
            answers: ``(b, b)`` bool: which image (column) answers which query (row).
            covered: ``(b, k, h, w)``: the share of each cell of image i that entity k of query i
                covers; all 0 for an entity that is not there.
        """
        logits = queries[0] @ images[0].T / TEMPERATURE
        retrieval = _contrast(logits, answers) + _contrast(logits.T, answers.T)
        found = self.masks(queries[1], images[1])
        share = torch.sigmoid(found)
        overlap = (share * covered).sum((-1, -2))
        dice = 1 - (2 * overlap + 1) / (share.sum((-1, -2)) + covered.sum((-1, -2)) + 1)
        cells = functional.binary_cross_entropy_with_logits(found, covered)
        return retrieval + 2 * cells + dice.mean()

    def _cells(self, maps: Sequence[Tensor]) -> Tensor:
        """Cells ``(b, h, w, width)`` of the finest map, with what the coarser ones say of them."""
        expected, given = self.settings["channels"], [each.shape[1] for each in maps]
        if given != expected:
            raise LearnError(
                f"feature maps have {given} channels, and this interface takes {expected}; give "
                "those of the encoder that it was trained with"
            )
        size = maps[0].shape[-2:]
        projected = [
            functional.interpolate(
                project(each.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
                size,
                mode="bilinear",
                align_corners=False,
            )
            for each, project in zip(maps, self.from_maps, strict=True)
        ]
        return torch.stack(projected).sum(0).permute(0, 2, 3, 1)

    def _transformed(
        self, tokens: Tensor, *, all_see_each_other: bool, present: Tensor | None = None
    ) -> Tensor:
        """``(b, 1 + n, width)``: the asking token first, which sees all and is seen by none."""
        batch, count, _ = tokens.shape
        joined = torch.cat([self.asking.expand(batch, 1, -1), tokens], 1)
        hidden = torch.ones(count + 1, count + 1, dtype=torch.bool, device=tokens.device)
        hidden[0] = False
        if all_see_each_other:
            hidden[1:, 1:] = False
        else:
            hidden.fill_diagonal_(False)
        padding = None
        if present is not None:
            padding = torch.cat([present.new_zeros(batch, 1), ~present], 1)
        out: Tensor = self.transformer(joined, mask=hidden, src_key_padding_mask=padding)
        return out


def _contrast(logits: Tensor, right: Tensor) -> Tensor:
    target = right.float()
    return functional.cross_entropy(logits, target / target.sum(1, keepdim=True))
