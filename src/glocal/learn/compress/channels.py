"""Which channels of a network can be removed, what goes with them, and what a pass then costs.

Channels hang together: those that a residual sum adds have to be removed from all its terms, and
with the outputs of a convolution go its normalisation and the inputs of the next layer. The package
torch-pruning finds these groups by tracing. Kept are all groups whose removal would change what the
network gives: a backbone's feature maps keep their widths, so that heads and cards stay true.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from glocal.errors import CompressError, MissingExtraError
from glocal.learn import INSTALL
from glocal.learn.compress.compressor import Plan

Chosen = Mapping[str, Sequence[int]]
"""Channels to remove, by the name of the layer whose outputs they are."""


@dataclass(frozen=True, slots=True)
class _Touched:
    """A layer that loses channels: numbers of its outputs, of its inputs, or of both at once."""

    layer: str
    side: str  # out, in, or both: a convolution of each channel by itself
    channels: tuple[int, ...]


class ChannelGroups:
    """The groups of channels of a network that can be removed.

    Args:
        model: network in evaluation mode; it is not changed.
        images: ``(b, 3, h, w)``; operations are counted for one of them.

    Attributes:
        sizes: number of channels of each group, by the name of the layer that makes them.

    Raises:
        CompressError: nothing can be removed.
        MissingExtraError: torch-pruning is not installed.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._image = images[:1]
        self._model, self._graph = _probe(model, self._image)
        self._names = {module: name for name, module in self._model.named_modules()}
        roots = {}
        for group in self._graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]):
            # Tracing may begin with a convolution of each channel by itself, which makes none.
            makers = [item for item in group if self._makes(item.dep)]
            if makers and len(makers[0].idxs) == len(group[0].idxs):
                roots[self._names[makers[0].dep.target.module]] = len(group[0].idxs)
        self.sizes = _removable(model, images[:1], roots)
        if not self.sizes:
            raise CompressError(
                "no channels of this network can be removed without changing its outputs; use a "
                "compressor with the trait weights"
            )
        # Asking the graph takes longer than computing the network, so it is asked once a group.
        self._members: dict[str, list[tuple[str, str, dict[int, list[int]]]]] = {}
        self._costs = _layer_flops(self._model, self._image)
        self.flops = sum(self._costs.values())

    def _makes(self, dependency: Any) -> bool:
        """Whether a dependency removes channels that a layer makes anew."""
        module = dependency.target.module
        layer = isinstance(module, nn.Conv2d | nn.Linear) and not _depthwise(module)
        return layer and bool(self._graph.is_out_channel_pruning_fn(dependency.handler))

    def touched(self, root: str, channels: Sequence[int]) -> list[_Touched]:
        """All layers that lose channels with these of a group."""
        if root not in self._members:
            self._members[root] = self._group(root)
        return [
            _Touched(layer, side, tuple(i for each in channels for i in own.get(each, ())))
            for layer, side, own in self._members[root]
        ]

    def _group(self, root: str) -> list[tuple[str, str, dict[int, list[int]]]]:
        """Layers of a group, and of each of its channels the numbers that it has there."""
        layer = self._model.get_submodule(root)
        pruner = self._graph.get_pruner_of_module(layer)
        everything = list(range(pruner.get_out_channels(layer)))
        found = []
        for item in self._graph.get_pruning_group(layer, pruner.prune_out_channels, everything):
            module = item.dep.target.module
            if not isinstance(module, nn.Module) or module not in self._names:
                continue
            own: dict[int, list[int]] = {}
            for channel, number in zip(item.root_idxs, item.idxs, strict=True):
                own.setdefault(channel, []).append(number)
            outward = self._graph.is_out_channel_pruning_fn(item.dep.handler)
            side = "both" if _depthwise(module) else "out" if outward else "in"
            found.append((self._names[module], side, own))
        return found

    def mask(self, model: nn.Module, chosen: Chosen) -> None:
        """Set to zero, in place, what the layers after a group take from these channels."""
        for root, channels in chosen.items():
            for each in self.touched(root, channels) if channels else ():
                layer: Any = model.get_submodule(each.layer)
                if each.side == "in" and isinstance(layer, nn.Conv2d | nn.Linear):
                    with torch.no_grad():
                        layer.weight[:, list(each.channels)] = 0

    def remaining_flops(self, chosen: Chosen) -> int:
        """Operations of one pass without these channels."""
        gone: dict[str, dict[str, set[int]]] = {}
        for root, channels in chosen.items():
            for each in self.touched(root, channels) if channels else ():
                sides = gone.setdefault(each.layer, {"in": set(), "out": set(), "both": set()})
                sides[each.side].update(each.channels)
        total = 0.0
        for name, cost in self._costs.items():
            layer: Any = self._model.get_submodule(name)
            shares = 1.0
            if name in gone:
                ins = getattr(layer, "in_channels", getattr(layer, "in_features", 1))
                outs = getattr(layer, "out_channels", getattr(layer, "out_features", 1))
                both = 1 - len(gone[name]["both"]) / outs
                shares = both * (1 - len(gone[name]["in"]) / ins)
                shares *= 1 - len(gone[name]["out"]) / outs
            total += cost * shares
        return round(total)

    def magnitudes(self, model: nn.Module, root: str) -> Tensor:
        """L1 norm of each channel's filters, over all layers that make it, ``(channels,)``."""
        size = self.sizes[root]
        total = torch.zeros(size)
        for each in self.touched(root, range(size)):
            layer: Any = model.get_submodule(each.layer)
            makes = each.side == "out" and isinstance(layer, nn.Conv2d | nn.Linear)
            if makes and len(each.channels) == size:
                total += layer.weight.detach().abs().flatten(1).sum(dim=1)[list(each.channels)]
        return total


@dataclass(frozen=True, slots=True, eq=False)
class ChannelPlan(Plan):
    """Channels to remove.

    Attributes:
        removed: by layer.
        images: ``(1, 3, h, w)``, by which groups are traced again.
        kept: share of the operations of one pass that is left.
    """

    removed: Chosen
    images: Tensor
    kept: float

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy without the channels, of fewer weights and operations."""
        found = copy.deepcopy(model)
        learned = {id(each): each.requires_grad for each in found.parameters()}
        for each in found.parameters():
            each.requires_grad_(True)
        training = found.training
        graph = _traced(found.eval(), self.images)
        frozen = {n for n, each in found.named_parameters() if not learned[id(each)]}
        for root, channels in self.removed.items():
            if channels:
                layer = found.get_submodule(root)
                prune = graph.get_pruner_of_module(layer).prune_out_channels
                graph.get_pruning_group(layer, prune, list(channels)).prune()
        for name, each in found.named_parameters():
            each.requires_grad_(name not in frozen)
        return found.train(training)

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy of the same shapes that computes what the smaller one does."""
        found = copy.deepcopy(model)
        ChannelGroups(model, self.images).mask(found, self.removed)
        return found


def _traced(model: nn.Module, image: Tensor) -> Any:
    try:
        import torch_pruning
    except ImportError as error:
        raise MissingExtraError(f"removing channels needs torch-pruning: {INSTALL}") from error
    with torch.enable_grad():
        return torch_pruning.DependencyGraph().build_dependency(
            model, example_inputs=image, output_transform=_tensors, verbose=False
        )


def _tensors(output: Any) -> list[Tensor]:
    """All tensors of an output that a gradient flows to."""
    if hasattr(output, "vector"):
        output = [output.vector]
    return [each for each in tree_leaves(output) if isinstance(each, Tensor) and each.grad_fn]


def _removable(model: nn.Module, image: Tensor, roots: Mapping[str, int]) -> dict[str, int]:
    """The groups of which a channel can be removed without another shape of any output.

    One copy loses a channel of one group after the other, as tracing takes longer than all else.
    """
    probe, graph = _probe(model, image)
    before = _shapes(probe, image)
    found = {}
    for root, size in roots.items():
        if size < 2:
            continue
        layer = probe.get_submodule(root)
        prune = graph.get_pruner_of_module(layer).prune_out_channels
        try:
            graph.get_pruning_group(layer, prune, [0]).prune()
            after = _shapes(probe, image)
        except (RuntimeError, IndexError):
            probe, graph = _probe(model, image)  # it no longer runs: this group has to stay whole
            before = _shapes(probe, image)
            continue
        if after == before:
            found[root] = size
        before = after
    return found


def _probe(model: nn.Module, image: Tensor) -> tuple[nn.Module, Any]:
    probe = copy.deepcopy(model).eval()
    for weight in probe.parameters():
        weight.requires_grad_(True)  # the graph is traced by autograd
    return probe, _traced(probe, image)


def _shapes(model: nn.Module, image: Tensor) -> list[torch.Size]:
    with torch.enable_grad():
        return [each.shape for each in _tensors(model(image.clone().requires_grad_()))]


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.out_channels


@torch.no_grad()
def _layer_flops(model: nn.Module, image: Tensor) -> dict[str, int]:
    """Operations of each convolution and linear layer in one pass, two for each product."""
    counter = FlopCounterMode(display=False)
    with counter:
        model(image)
    counts = counter.get_flop_counts()
    top = type(model).__name__
    return {
        name: sum(counts.get(f"{top}.{name}", {}).values())
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
