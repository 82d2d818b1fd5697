"""DIMAP: weights compared within the modules of a hierarchical transformer, without images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.compress.compressor import Compressor, Evidence, Saves
from glocal.learn.compress.weight_masks import WeightPlan, highest, prunable

_ATTENTION = re.compile(r"(?P<block>.*)\.attn\.(?P<layer>qkv|proj)\.weight")
_MLP = re.compile(r"(?P<block>.*)\.mlp\.\w+\.weight")


class DataIndependentModuleAware(Compressor[WeightPlan]):
    """Weights are ranked by the distortion that removing them adds to their module.

    Removing the ``p`` smallest weights of a module after all smaller ones distorts what it passes
    on by its share of what is still there: with the weights of a module in falling order,
    ``Imp(w_j) = w_j² / Σ_{i ≤ j} w_i²``. The largest weight of each module has the importance 1, so
    that modules of small weights are not emptied, and the ranking over the whole network compares
    what each removal costs its module. No image is looked at.

    Modules of a Swin Transformer are the queries, keys and values of a block's attention, its
    projection, and the two layers of its perceptron; all else, such as the embedding of patches,
    their merging and the classifier, is one auxiliary module.

    Source: He and Zhou, Data-independent Module-aware Pruning for Hierarchical Vision
    Transformers, 2024.

    Deviations: single weights become zero, of networks that name their layers as timm does.
    Convolutional networks have no such modules; each of their layers is one.
    """

    name = "dimap"
    saves: ClassVar[Saves] = "weights"
    data_free = True

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> WeightPlan:
        return highest(importances(prunable(model)), keep)


def modules_of(names: list[str]) -> dict[str, list[str]]:
    """Names of weights by the module that they belong to."""
    found: dict[str, list[str]] = {}
    transformer = any(_ATTENTION.fullmatch(name) for name in names)
    for name in names:
        attention, mlp = _ATTENTION.fullmatch(name), _MLP.fullmatch(name)
        if attention:
            module = f"{attention['block']}.{attention['layer']}"
        elif mlp:
            module = f"{mlp['block']}.mlp"
        else:
            module = "auxiliary" if transformer else name
        found.setdefault(module, []).append(name)
    return found


def importances(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Importance of each weight in its module, in (0, 1], in the shapes of the weights."""
    found: dict[str, Tensor] = {}
    for members in modules_of(list(weights)).values():
        squares = torch.cat([weights[name].detach().flatten().double() ** 2 for name in members])
        order = squares.argsort(descending=True, stable=True)
        falling = squares[order]
        shares = torch.empty_like(squares)
        shares[order] = falling / falling.cumsum(0).clamp_min(torch.finfo(torch.double).tiny)
        parts = shares.split([weights[name].numel() for name in members])
        for name, part in zip(members, parts, strict=True):
            found[name] = part.reshape(weights[name].shape)
    return {name: found[name] for name in weights}
