"""TAS: how wide and how deep the smaller network is, is learned by descent, and then distilled."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import CompressError
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan, Chosen
from glocal.learn.compress.compressor import Compressor, Evidence, Plan, Saves
from glocal.learn.compress.supernet import Choices, SuperNetwork, runs_of_units

_TOLERANCE, _PULL = 0.05, 2.0  # t and lambda_cost of the paper
_WARM, _COLD = 1.0, 0.1  # temperatures of the samples, at the beginning and at the end
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class SizedPlan(Plan):
    """How many channels and how many residual units are left.

    Attributes:
        removed: channels to remove, by the layer whose outputs they are.
        dropped: names of residual units that give way to their inputs.
        images: ``(1, 3, h, w)``, by which groups are traced again.
        kept: share of the operations of one pass that is left.
    """

    removed: Chosen
    dropped: tuple[str, ...]
    images: Tensor
    kept: float

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy with fewer units and channels, which has the weights of what is left."""
        return self._channels().apply(without_units(model, self.dropped))

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy without the units, whose channels are set to zero where they would be read."""
        return self._channels().masked(without_units(model, self.dropped))

    def _channels(self) -> ChannelPlan:
        return ChannelPlan(self.removed, self.images, self.kept)


class TransformableArchitecture(Compressor[SizedPlan]):
    """Differentiable search for the width of each layer and the depth of each stage.

    A distribution ``p = softmax(α)`` over some shares of its channels belongs to each group of
    channels, and one over the number of its residual units to each stage. In a step of the search,
    two candidates of each are drawn without replacement, with Gumbel noise ``o`` and a temperature
    that falls, and what the next layer reads is their sum, ``Σ_j p̂_j CWI(O_{1:C_j}, max C)``, with

        ``p̂_j = exp((log p_j + o_j) / τ) / Σ_k exp((log p_k + o_k) / τ)``

    over the two. Channel-wise interpolation, ``CWI``, averages neighbouring channels so that both
    have the same number; a stage gives likewise the sum of what it gives after so many units. Steps
    for the weights and steps for ``α`` take turns, on halves of the images. Those for ``α`` add
    ``λ log E[cost]`` while the most probable network costs more than 1.05 of the goal, and
    subtract it below 0.95. The most probable sizes are the result. It has the weights of the
    network's own channels with the largest filters, and is to be trained with
    `glocal.learn.compress.distillation.distil`, as the paper does.

    Source: Dong and Yang, Network Pruning via Transformable Architecture Search, 2019.

    Deviations: the search needs no labels; its loss is how far the outputs are from those of the
    network itself. Channels that a residual sum adds have one width together, are interpolated
    where a next layer reads them, and are sorted by the L1 norm of their filters. Searches are
    short, so that temperatures fall from 1, not from 10. The search begins at the network's
    weights, and so does the result, which the paper trains from random ones. What the most probable
    sizes cost is brought to the goal at last: sizes change by the next candidate, the one with the
    least probability lost for the operations, a unit more for narrower layers where that stays
    more than 5 % below it, and then channel by channel.

    Args:
        steps: steps of the search, each one for weights and one for ``α``.
        shares: candidates of widths, in parts of a group's channels; 1 is always one.
        rate: learning rate of ``α``.
        weight_rate: learning rate of the weights.
        seed: seed of samples and batches.
    """

    name = "tas"
    saves: ClassVar[Saves] = "channels"

    def __init__(
        self,
        steps: int = 150,
        shares: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        rate: float = 0.05,
        weight_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        if steps < 1 or rate <= 0 or weight_rate <= 0:
            raise CompressError(
                "a search needs at least one step and rates above 0, not "
                f"{steps!r}, {rate!r} and {weight_rate!r}"
            )
        if not shares or not all(0 < share <= 1 for share in shares):
            raise CompressError(f"the shares of channels have to be in (0, 1], not {shares!r}")
        self.steps, self.shares, self.rate = steps, tuple(shares), rate
        self.weight_rate, self.seed = weight_rate, seed

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> SizedPlan:
        assert evidence is not None  # noqa: S101 - `plan` has checked it
        image = evidence.images[:1]
        if keep == 1:
            return SizedPlan({}, (), image, 1.0)
        if len(evidence.images) < 4:
            raise CompressError(
                f"a search needs at least 4 images, half of them for the sizes, not "
                f"{len(evidence.images)}"
            )
        groups = ChannelGroups(model, image)
        choices = Choices(model, groups, runs_of_units(model), self.shares)
        goal = keep * groups.flops
        logs, likely = self._searched(model, choices, evidence.images, goal)
        sizes = _brought_to(choices, logs, likely, goal)
        return _planned(model, choices, sizes, image, goal)

    def _searched(
        self, model: nn.Module, choices: Choices, images: Tensor, goal: float
    ) -> tuple[list[Tensor], list[int]]:
        """Logarithms of the probabilities of all candidates, and the most probable of each."""
        generator = torch.Generator().manual_seed(self.seed)
        wanted = _outputs_of(model, images)
        network = SuperNetwork(model, choices)
        alphas = [torch.zeros(len(each), requires_grad=True) for each in choices.candidates]
        weights = torch.optim.Adam(network.learned(), lr=self.weight_rate)
        sizes = torch.optim.Adam(alphas, lr=self.rate, betas=(0.5, 0.999))
        order = torch.randperm(len(images), generator=generator)
        halves = order[::2], order[1::2]
        with torch.enable_grad(), network:
            for step in range(self.steps):
                heat = _WARM + (_COLD - _WARM) * step / max(self.steps - 1, 1)
                for half, optimizer in zip(halves, (weights, sizes), strict=True):
                    picks = torch.randperm(len(half), generator=generator)[:_BATCH]
                    logs = [alpha.log_softmax(0) for alpha in alphas]
                    network.draw([_drawn(each, heat, generator) for each in logs])
                    chosen = half[picks]
                    loss = _apart(network(images[chosen]), [each[chosen] for each in wanted])
                    if optimizer is sizes:
                        loss = loss + _PULL * _cost(choices, logs, goal)
                    weights.zero_grad(), sizes.zero_grad()
                    loss.backward()
                    optimizer.step()
        found = [alpha.detach().log_softmax(0) for alpha in alphas]
        return found, [int(each.argmax()) for each in found]


def without_units(model: nn.Module, dropped: tuple[str, ...]) -> nn.Module:
    """A copy of a network in which identities stand for these units."""
    found = copy.deepcopy(model)
    for name in dropped:
        parent, _, child = name.rpartition(".")
        setattr(found.get_submodule(parent), child, nn.Identity())
    return found


def _drawn(logs: Tensor, heat: float, generator: torch.Generator) -> dict[int, Tensor]:
    """Two candidates, drawn without replacement, and their weights, which sum to one."""
    noise = -(-torch.rand(len(logs), generator=generator).clamp(1e-9, 1 - 1e-7).log()).log()
    noisy = logs + noise
    drawn = noisy.detach().topk(min(2, len(logs))).indices
    weights = (noisy[drawn] / heat).softmax(0)
    return dict(zip(drawn.tolist(), weights, strict=True))


def _cost(choices: Choices, logs: list[Tensor], goal: float) -> Tensor:
    """The logarithm of the expected operations, signed; zero near the goal."""
    likely = choices.flops([int(each.argmax()) for each in logs])
    sign = (likely > (1 + _TOLERANCE) * goal) - (likely < (1 - _TOLERANCE) * goal)
    return sign * choices.expected([each.exp() for each in logs]).log()


@torch.no_grad()
def _outputs_of(model: nn.Module, images: Tensor) -> list[Tensor]:
    """All output tensors for these images, batch by batch."""
    parts = [tensors_of(model(batch)) for batch in images.split(_BATCH)]
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def _apart(outputs: object, wanted: list[Tensor]) -> Tensor:
    """Mean squared error of each output, in parts of the variance of what is wanted."""
    terms = [
        (one - two).square().mean() / two.var(unbiased=False).clamp_min(1e-12)
        for one, two in zip(tensors_of(outputs), wanted, strict=True)
    ]
    return torch.stack(terms).mean()


def tensors_of(output: object) -> list[Tensor]:
    """The floating-point tensors of an output; of a head's output its vector."""
    from torch.utils._pytree import tree_leaves

    if hasattr(output, "vector"):
        output = output.vector
    return [
        each for each in tree_leaves(output)
        if isinstance(each, Tensor) and each.is_floating_point()
    ]  # fmt: skip


def _brought_to(choices: Choices, logs: list[Tensor], sizes: list[int], goal: float) -> list[int]:
    """The sizes changed to the next candidates until they cost no more, and little less.

    Raises:
        CompressError: the smallest candidates cost more than the goal.
    """
    sizes = list(sizes)
    while choices.flops(sizes) > goal:
        step = _best_step(choices, logs, sizes, -1, None)
        if step is None:
            raise CompressError(
                f"with the smallest sizes {choices.flops(sizes) / choices.whole:.1%} of the "
                f"operations are left, not {goal / choices.whole:.1%}; keep more, or search among "
                "smaller shares"
            )
        sizes = step
    sizes = _widened(choices, logs, sizes, goal)
    if choices.flops(sizes) >= (1 - _TOLERANCE) * goal:
        return sizes
    deeper = [
        found for number in range(len(choices.roots), len(sizes))
        if (found := _deeper(choices, logs, sizes, number, goal)) is not None
    ]  # fmt: skip
    return max([sizes, *deeper], key=choices.flops)


def _widened(choices: Choices, logs: list[Tensor], sizes: list[int], goal: float) -> list[int]:
    """The sizes with as much more as the goal leaves room for."""
    while (step := _best_step(choices, logs, sizes, 1, goal)) is not None:
        sizes = step
    return sizes


def _deeper(
    choices: Choices, logs: list[Tensor], sizes: list[int], number: int, goal: float
) -> list[int] | None:
    """The sizes with one more unit of a run, for which widths shrink; None if that cannot be."""
    if sizes[number] + 1 == len(logs[number]):
        return None
    found = [*sizes[:number], sizes[number] + 1, *sizes[number + 1 :]]
    while choices.flops(found) > goal:
        step = _best_step(choices, logs, found, -1, None, only=len(choices.roots))
        if step is None:
            return None
        found = step
    return _widened(choices, logs, found, goal)


def _best_step(
    choices: Choices,
    logs: list[Tensor],
    sizes: list[int],
    way: int,
    goal: float | None,
    only: int | None = None,
) -> list[int] | None:
    """The change of one size that loses the least probability for the operations it changes.

    Only the first so many choices are changed where that is said.
    """
    best, least = None, float("inf")
    before = choices.flops(sizes)
    for number, size in enumerate(sizes[:only]):
        if not 0 <= size + way < len(logs[number]):
            continue
        tried = [*sizes[:number], size + way, *sizes[number + 1 :]]
        after = choices.flops(tried)
        if after == before or (goal is not None and after > goal):
            continue
        lost = float(logs[number][size] - logs[number][size + way]) / abs(after - before)
        if lost < least:
            best, least = tried, lost
    return best


def _planned(
    model: nn.Module, choices: Choices, sizes: list[int], image: Tensor, goal: float
) -> SizedPlan:
    """The channels to remove, counted on the network without the units that go."""
    dropped = choices.dropped(sizes)
    left = without_units(model, dropped)
    groups = ChannelGroups(left, image)
    orders = {root: choices.order_in(root) for root in groups.sizes}
    counts = {root: choices.removed_of(root, sizes) for root in groups.sizes}

    def flops() -> int:
        return groups.remaining_flops(_ends(orders, counts))

    for root in sorted(counts, key=lambda root: -counts[root] / len(orders[root])):
        while counts[root]:
            counts[root] -= 1
            if flops() > goal:
                counts[root] += 1
                break
    return SizedPlan(_ends(orders, counts), dropped, image, flops() / choices.whole)


def _ends(orders: Mapping[str, list[int]], counts: Mapping[str, int]) -> dict[str, list[int]]:
    """The last channels of each order."""
    return {root: sorted(order[len(order) - counts[root] :]) for root, order in orders.items()}
