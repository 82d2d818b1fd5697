"""ECoFLaP: how sparse each layer becomes is measured globally, which weights go is local."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import CompressError
from glocal.learn.compress.compressor import Compressor, Evidence, Losses, Saves, measured
from glocal.learn.compress.weight_masks import WeightPlan, prunable


class CoarseToFine(Compressor[WeightPlan]):
    """Layer sparsities from zeroth-order scores of the loss, then Wanda within each layer.

    Coarse: the gradient of a layer's weights is sized up by forward passes alone, along random
    directions ``z ~ N(0, 1)``: ``I_l = mean_z |L(W_l + ε z) - L(W_l - ε z)| / 2 ε``, divided by the
    number of the layer's weights. Each layer keeps ``1 - most`` of its weights, and what else is to
    be kept is shared out in proportion to the scores, as far as a layer has room. Fine: within a
    layer, the weights of each output with the smallest ``|W_ij| ‖X_j‖`` become zero, where ``X_j``
    is input ``j`` over all images and cells.

    Source: Sung, Yoon and Bansal, ECoFLaP: Efficient Coarse-to-Fine Layer-Wise Pruning for
    Vision-Language Models, 2024; the local criterion is Wanda, Sun, Liu, Bair and Kolter, 2024.

    Deviations: none.

    Args:
        most: highest sparsity of a layer, in (0, 1]; raised to what the goal needs.
        noise: length ``ε`` of a step, in parts of the root mean square of the layer's weights.
        draws: directions for each layer.
        uniform: leave the coarse step out, so that all layers become equally sparse; the trial's
            baseline.
        seed: seed of the directions.
    """

    name = "ecoflap"
    saves: ClassVar[Saves] = "weights"

    def __init__(
        self,
        most: float = 0.95,
        noise: float = 0.1,
        draws: int = 4,
        uniform: bool = False,
        seed: int = 0,
    ) -> None:
        if not 0 < most <= 1 or noise <= 0 or draws < 1:
            raise CompressError(
                f"most has to be in (0, 1], noise above 0 and draws at least 1, not {most!r}, "
                f"{noise!r} and {draws!r}"
            )
        self.most, self.noise, self.draws = most, noise, draws
        self.uniform, self.seed = uniform, seed

    @torch.no_grad()
    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> WeightPlan:
        images, losses = measured(evidence, self.name)
        weights = prunable(model)
        if self.uniform:
            shares = dict.fromkeys(weights, keep)
        else:
            sizes = {name: weight.numel() for name, weight in weights.items()}
            least = min(1 - self.most, keep)
            shares = shared_out(self.scores(model, losses), sizes, keep, least)
        norms = input_norms(model, images)
        return WeightPlan(
            {
                name: _locally_highest(weight.abs() * norms[name], shares[name])
                for name, weight in weights.items()
            }
        )

    @torch.no_grad()
    def scores(self, model: nn.Module, losses: Losses) -> dict[str, float]:
        """Zeroth-order score of each layer, for each of its weights."""
        random = torch.Generator().manual_seed(self.seed)
        found = {}
        for name, weight in prunable(model).items():
            before = weight.clone()
            step = self.noise * float(before.square().mean().sqrt().clamp_min(1e-12))
            slopes = []
            for _ in range(self.draws):
                direction = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
                weight.copy_(before + step * direction)
                ahead = sum(losses(model))
                weight.copy_(before - step * direction)
                slopes.append(abs(ahead - sum(losses(model))) / (2 * step))
            weight.copy_(before)
            found[name] = sum(slopes) / len(slopes) / weight.numel()
        return found


def shared_out(
    scores: dict[str, float], sizes: dict[str, int], keep: float, least: float
) -> dict[str, float]:
    """Share that each layer keeps: ``least``, and what is left in proportion to the scores.

    Args:
        scores: at least 0; the weights that a layer gets are in proportion to its own.
        sizes: number of weights of each layer.
        keep: share of all weights that is kept.
        least: share that each layer keeps in any case, at most ``keep``.
    """
    kept = {name: least * size for name, size in sizes.items()}
    open_to = {name: max(scores[name], 1e-12) for name in sizes}
    left = keep * sum(sizes.values()) - sum(kept.values())
    while left > 1e-6 and open_to:
        total = sum(open_to.values())
        given = 0.0
        for name, score in list(open_to.items()):
            part = min(left * score / total, sizes[name] - kept[name])
            kept[name] += part
            given += part
            if kept[name] >= sizes[name] - 1e-9:
                del open_to[name]
        left -= given
    return {name: kept[name] / sizes[name] for name in sizes}


@torch.no_grad()
def input_norms(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Norm of each input of each layer over all images and cells, to be multiplied by its weight.

    Returns:
        For each weight that `prunable` names, ``(1, inputs, 1, 1)`` of a convolution, ``(outputs,
        1, 1, 1)`` where each output has inputs of its own group, ``(1, inputs)`` of a linear layer.
    """
    found: dict[str, Tensor] = {}
    hooks = []

    def watch(name: str, layer: nn.Conv2d | nn.Linear) -> None:
        def see(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            del module, output
            x = inputs[0]
            if isinstance(layer, nn.Linear):
                found[name] = x.flatten(0, -2).norm(dim=0)[None]
                return
            norms = x.transpose(0, 1).flatten(1).norm(dim=1).reshape(layer.groups, -1)
            each = norms.repeat_interleave(layer.out_channels // layer.groups, dim=0)
            found[name] = each[:, :, None, None]

        hooks.append(layer.register_forward_hook(see))

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            watch(f"{name}.weight" if name else "weight", module)
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    missing = prunable(model).keys() - found.keys()
    if missing:
        raise CompressError(f"the network does not use {sorted(missing)[0]}; remove that layer")
    return found


def _locally_highest(scores: Tensor, share: float) -> Tensor:
    """Mask of the highest scores; each output keeps the same number, the first ones one more."""
    rows = scores.flatten(1)
    count = round(share * rows.numel())
    mask = torch.zeros_like(rows, dtype=torch.bool)
    order = rows.argsort(dim=1, descending=True, stable=True)
    base, more = divmod(count, len(rows))
    mask.scatter_(1, order[:, :base], True)
    if more:
        mask[torch.arange(more), order[:more, base]] = True
    return mask.reshape(scores.shape)
