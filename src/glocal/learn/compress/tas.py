"""TAS: widths and depths are learned together, by gradients, under a goal of operations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from glocal.errors import CompressError
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan, Chosen
from glocal.learn.compress.compressor import Compressor, Evidence, Plan, Saves

_TOLERANCE = 0.02  # of the goal, within which operations cost nothing
_SAMPLED = 2  # sizes that are mixed in one step


@dataclass(frozen=True, slots=True, eq=False)
class ShapePlan(Plan):
    """Channels to remove, and blocks to skip.

    Attributes:
        channels: what is removed of the blocks that stay.
        skipped: names of blocks whose input is their output from now on.
        kept: share of the operations of one pass that is left.
    """

    channels: ChannelPlan
    skipped: tuple[str, ...]
    kept: float

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy without the channels and blocks."""
        return self._without_blocks(self.channels.apply(model))

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy with the channels, which says what the smaller one does."""
        return self._without_blocks(self.channels.masked(model))

    def _without_blocks(self, model: nn.Module) -> nn.Module:
        for name in self.skipped:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, nn.Identity())
        return model


class TransformableSearch(Compressor[ShapePlan]):
    """Sizes of all groups of channels, and the number of blocks of all stages, are distributions.

    A group of ``C`` channels has ``K`` candidate widths with logits ``α``. In each step two of them
    are drawn and their feature maps are mixed, ``Σ_j p̂_j F_j``, with weights in proportion to
    ``exp((log p_j + o_j) / τ)`` and Gumbel noise ``o``; ``τ`` falls from 5 to 0.1. The depth of a
    stage is drawn alike: the map after ``l`` blocks goes on. Weights learn on one half of the
    images, ``α`` on the other, where the loss has ``λ log E[F]`` added while the expected
    operations ``E[F]`` are above the goal, and taken away while they are below it. The most
    probable sizes make the smaller network. It is taught by the large one afterwards (knowledge
    distillation); that is the caller's part.

    Source: Dong and Yang, Network Pruning via Transformable Architecture Search, 2019.

    Deviations: the search learns from the outputs of the large network in place of labels, since
    evidence has losses that no gradient flows through. The candidates of a width keep the channels
    with the largest filters, so that maps of different widths have the same channels in the same
    places and need no channel-wise interpolation. A mixture of depths weights each block by how
    probable it is that the depth reaches it. Weights move in a copy, which is thrown away. The
    most probable sizes rarely meet the goal exactly: all widths are then narrowed by one factor, or
    channels are given back where most were expected.

    Args:
        steps: of the search.
        widths: candidate widths, as shares of a group.
        rate: learning rate of the logits.
        weight: ``λ``, of the operations in the loss.
        seed: of sampling.
    """

    name = "tas"
    saves: ClassVar[Saves] = "channels"

    def __init__(
        self,
        steps: int = 120,
        widths: Sequence[float] = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0),
        rate: float = 0.1,
        weight: float = 2.0,
        seed: int = 0,
    ) -> None:
        if steps < 1 or rate <= 0 or weight <= 0:
            raise CompressError(
                f"steps, rate and weight have to be above 0, not {steps!r}, {rate!r}, {weight!r}"
            )
        if not widths or not all(0 < width <= 1 for width in widths):
            raise CompressError(f"widths have to be shares in (0, 1], not {widths!r}")
        self.steps, self.widths, self.rate = steps, sorted(widths), rate
        self.weight, self.seed = weight, seed

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> ShapePlan:
        assert evidence is not None  # noqa: S101 - as `plan` has checked
        images = evidence.images
        groups = ChannelGroups(model, images)
        space = _Space(model, groups, images[:1], self.widths)
        if keep == 1:
            return space.plan(space.whole(), keep)
        self._search(space, model, images, keep)
        return space.plan(_met(space, keep), keep)

    def _search(self, space: _Space, model: nn.Module, images: Tensor, keep: float) -> None:
        student = copy.deepcopy(model)
        for each in student.parameters():
            each.requires_grad_(True)
        with torch.no_grad():
            wanted = _outputs(model(images))
        half = max(len(images) // 2, 1)
        for_weights, for_sizes = slice(0, half), slice(len(images) - half, len(images))
        learn = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9)
        choose = torch.optim.Adam(space.logits, lr=self.rate, betas=(0.5, 0.999))
        generator = torch.Generator().manual_seed(self.seed)
        with torch.enable_grad():
            for step in range(self.steps):
                heat = 5 + (0.1 - 5) * step / max(self.steps - 1, 1)
                for which, optimizer in ((for_weights, learn), (for_sizes, choose)):
                    sizes = space.sampled(heat, generator)
                    with space.inside(student, sizes):
                        found = _outputs(student(images[which]))
                    loss = _apart(found, [each[which] for each in wanted])
                    if optimizer is choose:
                        loss = loss + self.weight * _cost(space.expected(), keep)
                    learn.zero_grad(set_to_none=True)
                    choose.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(student.parameters(), 5.0)
                    optimizer.step()


Sizes = tuple[list[int], list[int]]
"""Channels that each group keeps, and blocks that each stage keeps."""


class _Space:
    """All shapes that a network can have, and how probable each size is."""

    def __init__(
        self, model: nn.Module, groups: ChannelGroups, image: Tensor, widths: Sequence[float]
    ) -> None:
        self._groups, self._image = groups, image
        self._roots = list(groups.sizes)
        self._ranked = {
            root: groups.magnitudes(model, root).argsort(descending=True, stable=True).tolist()
            for root in self._roots
        }
        self._counts = [
            sorted({max(1, round(width * groups.sizes[root])) for width in widths})
            for root in self._roots
        ]
        self._stages = _stages(model, image)
        options = [len(each) for each in self._counts]
        options += [len(blocks) + 1 for blocks in self._stages]
        self.logits = [nn.Parameter(torch.zeros(count)) for count in options]
        # For each option, how much of each channel, or of each block, it has.
        self._options = [self._masks(at) for at in range(len(self._roots))]
        self._options += [
            torch.ones(len(blocks) + 1, len(blocks)).tril(-1) for blocks in self._stages
        ]
        self._touched = self._layers()

    def _masks(self, at: int) -> Tensor:
        root, counts = self._roots[at], self._counts[at]
        masks = torch.zeros(len(counts), self._groups.sizes[root])
        for number, count in enumerate(counts):
            masks[number, self._ranked[root][:count]] = 1
        return masks

    def _layers(self) -> list[tuple[int, str, str, Tensor, Tensor]]:
        """Group, layer, side, numbers of channels there, and which of the group's they are."""
        found = []
        for at, root in enumerate(self._roots):
            size = self._groups.sizes[root]
            for each in self._groups.touched(root, range(size)):
                own = torch.arange(size).repeat_interleave(len(each.channels) // size)
                found.append((at, each.layer, each.side, torch.tensor(each.channels), own))
        return found

    def whole(self) -> Sizes:
        """All channels and all blocks."""
        sizes = [self._groups.sizes[root] for root in self._roots]
        return sizes, [len(blocks) for blocks in self._stages]

    def best(self) -> Sizes:
        """The most probable ones."""
        chosen = [int(each.argmax()) for each in self.logits]
        widths = chosen[: len(self._roots)]
        counts = [counts[at] for counts, at in zip(self._counts, widths, strict=True)]
        return counts, chosen[len(self._roots) :]

    def means(self) -> list[float]:
        """The expected width of each group."""
        return [
            float(logits.detach().softmax(0) @ torch.tensor(counts, dtype=torch.float))
            for logits, counts in zip(self.logits, self._counts, strict=False)
        ]

    def sampled(self, heat: float, generator: torch.Generator) -> list[Tensor]:
        """A mixture of two sizes of each: how much there is of each channel, and of each block."""
        found = []
        for logits, options in zip(self.logits, self._options, strict=True):
            likely = logits.softmax(0)
            count = min(_SAMPLED, len(likely))
            drawn = torch.multinomial(likely.detach(), count, generator=generator)
            noise = torch.rand(count, generator=generator).clamp(1e-6, 1 - 1e-6)
            gumbel = -(-noise.log()).log()
            mixed = ((likely[drawn].clamp_min(1e-12).log() + gumbel) / heat).softmax(0)
            found.append(mixed @ options[drawn])
        return found

    def expected(self) -> Tensor:
        """Expected operations, as a share of those of the whole network."""
        there = [
            logits.softmax(0) @ options
            for logits, options in zip(self.logits, self._options, strict=True)
        ]
        shares: dict[tuple[str, str], Tensor] = {}
        for at, layer, side, channels, own in self._touched:
            gone = (1 - there[at][own]).sum() / self._width(layer, side)
            shares[layer, side] = shares.get((layer, side), torch.ones(())) - gone
            del channels
        total = torch.zeros(())
        for name, cost in self._groups.layer_flops({}).items():
            left = torch.tensor(float(cost))
            for side in ("in", "out", "both"):
                left = left * shares.get((name, side), torch.ones(()))
            for stage, blocks in enumerate(self._stages):
                for number, block in enumerate(blocks):
                    if name.startswith(f"{block}."):
                        left = left * there[len(self._roots) + stage][number]
            total = total + left
        return total / self._groups.flops

    def _width(self, layer: str, side: str) -> int:
        module: Any = self._groups.layer(layer)
        if side == "in":
            return int(getattr(module, "in_channels", getattr(module, "in_features", 1)))
        outs = getattr(module, "out_features", getattr(module, "num_features", 1))
        return int(getattr(module, "out_channels", outs))

    @contextmanager
    def inside(self, model: nn.Module, there: Sequence[Tensor]) -> Iterator[None]:
        """While this lasts, a network computes a mixture of sizes."""
        hooks = []
        for at, layer, side, channels, own in self._touched:
            module = model.get_submodule(layer)
            if side == "in" and isinstance(module, nn.Conv2d | nn.Linear):
                share = torch.ones(self._width(layer, side)).index_put((channels,), there[at][own])
                hooks.append(module.register_forward_pre_hook(_weighting(share)))
        for stage, blocks in enumerate(self._stages):
            for number, block in enumerate(blocks):
                reached = there[len(self._roots) + stage][number]
                hooks.append(model.get_submodule(block).register_forward_hook(_passing(reached)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def removed(self, sizes: Sizes) -> Chosen:
        """Channels that sizes leave out, by group."""
        return {
            root: sorted(self._ranked[root][count:])
            for root, count in zip(self._roots, sizes[0], strict=True)
        }

    def skipped(self, sizes: Sizes) -> tuple[str, ...]:
        """Blocks that sizes leave out."""
        pairs = zip(self._stages, sizes[1], strict=True)
        return tuple(block for blocks, count in pairs for block in blocks[count:])

    def share(self, sizes: Sizes) -> float:
        """Operations of sizes, as a share of those of the whole network."""
        skipped = tuple(f"{block}." for block in self.skipped(sizes))
        left = self._groups.layer_flops(self.removed(sizes))
        total = sum(cost for name, cost in left.items() if not name.startswith(skipped))
        return round(total) / self._groups.flops

    def plan(self, sizes: Sizes, keep: float) -> ShapePlan:
        """The plan for sizes."""
        share = self.share(sizes)
        if share > keep:
            raise CompressError(
                f"with the fewest channels {share:.1%} of the operations are left, not {keep:.1%}; "
                "keep more"
            )
        channels = ChannelPlan(self.removed(sizes), self._image, share)
        return ShapePlan(channels, self.skipped(sizes), share)


def _met(space: _Space, keep: float) -> Sizes:
    """The most probable sizes, narrowed or widened until they meet a goal."""
    (counts, depths), (most, _) = space.best(), space.whole()
    low, high = 0.0, 1.0
    sizes = counts, depths
    if space.share(sizes) > keep:
        for _ in range(20):
            factor = (low + high) / 2
            sizes = [max(1, int(factor * count)) for count in counts], depths
            low, high = (factor, high) if space.share(sizes) <= keep else (low, factor)
        sizes = [max(1, int(low * count)) for count in counts], depths
    means = space.means()
    full: set[int] = set()
    while len(full) < len(most):
        at = max(
            (number for number in range(len(most)) if number not in full),
            key=lambda number: (means[number] - sizes[0][number]) / most[number],
        )
        more = [count + (number == at) for number, count in enumerate(sizes[0])], depths
        if more[0][at] > most[at] or space.share(more) > keep:
            full.add(at)
        else:
            sizes = more
    return sizes


def _stages(model: nn.Module, image: Tensor) -> list[list[str]]:
    """Blocks that can be skipped, those of one parent and shape together, in their order.

    A block has two or more layers and gives what it takes in its shape; one within another does
    not count.
    """
    shapes: dict[str, torch.Size] = {}

    def watching(name: str) -> Callable[..., None]:
        def watch(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            both = isinstance(output, Tensor) and len(inputs) == 1
            if both and isinstance(inputs[0], Tensor) and inputs[0].shape == output.shape:
                shapes[name] = output.shape

        return watch

    hooks = []
    for name, module in model.named_modules():
        layers = sum(isinstance(each, nn.Conv2d | nn.Linear) for each in module.modules())
        if name and layers >= 2:
            hooks.append(module.register_forward_hook(watching(name)))
    try:
        with torch.no_grad():
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    outermost = [n for n, _ in model.named_modules() if n in shapes]
    outermost = [n for n in outermost if not any(n.startswith(f"{o}.") for o in outermost)]
    stages: dict[tuple[str, torch.Size], list[str]] = {}
    for name in outermost:
        stages.setdefault((name.rpartition(".")[0], shapes[name]), []).append(name)
    return list(stages.values())


def _weighting(share: Tensor) -> Callable[..., tuple[Tensor, ...]]:
    def weight(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        spatial = isinstance(module, nn.Conv2d)
        return (inputs[0] * (share[:, None, None] if spatial else share), *inputs[1:])

    return weight


def _passing(reached: Tensor) -> Callable[..., Tensor]:
    def mix(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return reached * output + (1 - reached) * inputs[0]

    return mix


def _outputs(output: Any) -> list[Tensor]:
    """All tensors of real numbers in an output."""
    return [t for t in tree_leaves(output) if isinstance(t, Tensor) and t.is_floating_point()]


def _apart(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Squared differences, in parts of the variance of what is wanted."""
    parts = [
        functional.mse_loss(one, other) / other.var().clamp_min(1e-8)
        for one, other in zip(found, wanted, strict=True)
    ]
    return torch.stack(parts).mean()


def _cost(expected: Tensor, keep: float) -> Tensor:
    """Rises with the operations above the goal, falls with those below it."""
    share = float(expected.detach())
    if share > (1 + _TOLERANCE) * keep:
        return expected.log()
    if share < (1 - _TOLERANCE) * keep:
        return -expected.log()
    return torch.zeros(())
