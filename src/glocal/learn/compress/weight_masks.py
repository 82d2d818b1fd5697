"""Plans that keep some weights and set the others to zero.

Zeros save no time: the same products are computed, as no kernel here skips single zeros. They save
bytes where the file is packed: see `WeightPlan.packed_bytes`.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glocal.errors import CompressError
from glocal.learn.compress.compressor import Plan


def prunable(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are counted and may become zero, by name.

    They are those of convolutions and linear layers, without biases.

    Raises:
        CompressError: there are none.
    """
    found: dict[str, Tensor] = {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    if not found:
        raise CompressError("the network has neither convolutions nor linear layers to prune")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class WeightPlan(Plan):
    """Masks over the weights of a network.

    Attributes:
        masks: of each weight that `prunable` names, bool of its shape: True is kept.
    """

    masks: Mapping[str, Tensor]

    @property
    def kept(self) -> float:  # type: ignore[override]
        """Share of the weights that is kept."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return kept / sum(mask.numel() for mask in self.masks.values())

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy in which the other weights are zero."""
        found = copy.deepcopy(model)
        self.hold(found)
        return found

    def masked(self, model: nn.Module) -> nn.Module:
        """The same as `apply`: shapes never change."""
        return self.apply(model)

    @torch.no_grad()
    def hold(self, model: nn.Module) -> None:
        """Set the other weights to zero in place; call it after each step of a training.

        Raises:
            CompressError: the plan was made for another network.
        """
        weights = prunable(model)
        for name, mask in self.masks.items():
            if name not in weights or weights[name].shape != mask.shape:
                raise CompressError(f"the plan was made for another network: {name} does not fit")
            weights[name].mul_(mask)

    def packed_bytes(self, model: nn.Module) -> int:
        """Bytes of the masked weights in half precision, packed by deflate."""
        weights = prunable(self.apply(model))
        whole = b"".join(each.detach().half().numpy().tobytes() for each in weights.values())
        return len(zlib.compress(whole, 9))


def highest(scores: Mapping[str, Tensor], keep: float, *, floor: float = 0.0) -> WeightPlan:
    """Keep the weights with the highest scores of all layers together.

    Args:
        scores: of each weight, in the shape of its layer.
        keep: share of all weights to keep; it is met to the nearest weight.
        floor: share of each layer that is kept in any case, its own highest, rounded up.

    Raises:
        CompressError: the floors alone are more than what is to be kept.
    """
    flat = {name: each.detach().flatten().double() for name, each in scores.items()}
    count = round(keep * sum(len(each) for each in flat.values()))
    lifted = []
    for each in flat.values():
        least = -int(-floor * len(each) // 1)
        raised = each.clone()
        raised[each.argsort(descending=True, stable=True)[:least]] = torch.inf
        lifted.append(raised)
    everything = torch.cat(lifted)
    if int(everything.isposinf().sum()) > count:
        raise CompressError(
            f"a floor of {floor:.1%} of each layer is more than {keep:.1%} of all weights; lower "
            "it, or keep more"
        )
    mask = torch.zeros(len(everything), dtype=torch.bool)
    mask[everything.argsort(descending=True, stable=True)[:count]] = True
    parts = mask.split([len(each) for each in flat.values()])
    return WeightPlan(
        {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
    )
