"""What an adapter is: few parameters beside frozen weights, merged into them afterwards."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from glocal.errors import LearnError

Layer = nn.Linear | nn.Conv2d


class Adapter(ABC):
    """Adapts the weights of linear layers and convolutions; a subclass writes the mathematics.

    A convolution's weight ``(out, in, k, k)`` is taken for a matrix ``(out, in k k)``. Grouped
    convolutions, whose matrices have few columns, stay as they are.

    Attributes:
        name: its name in the registry.
    """

    name: ClassVar[str]

    def attach(self, network: nn.Module) -> nn.Module:
        """A copy of a network in which only the adapter learns.

        It computes the same as the network until it is trained; `merged` makes a network of the
        original layers of it.

        Args:
            network: a trained network; it is not changed.

        Raises:
            LearnError: it has no layer that could be adapted.
        """
        adapted = copy.deepcopy(network).requires_grad_(False)
        done: dict[nn.Module, nn.Module] = {}

        def adapt(module: nn.Module) -> nn.Module | None:
            if not isinstance(module, Layer) or getattr(module, "groups", 1) != 1:
                return None
            if module not in done:
                done[module] = Adapted(module, self.change(module.weight.detach().flatten(1)))
            return done[module]

        adapted = _exchanged(adapted, adapt)
        if not done:
            raise LearnError(
                f"{type(network).__name__} has no linear layer and no convolution of one group; "
                "an adapter needs one"
            )
        return adapted

    @abstractmethod
    def change(self, weight: Tensor) -> Change:
        """What changes a weight ``(out, in)``."""


class Change(nn.Module, ABC):
    """What was learned of one weight."""

    @abstractmethod
    def added(self) -> Tensor:
        """What is added to the matrix ``(out, in)``; zeros before training."""


class Adapted(nn.Module):
    """A frozen layer and what changes its weight.

    Args:
        layer: the layer.
        change: what is added to its weight.
    """

    def __init__(self, layer: Layer, change: Change) -> None:
        super().__init__()
        self.layer, self.change = layer, change

    def weight(self) -> Tensor:
        """The weight that counts, in the shape of the layer's."""
        own = self.layer.weight
        return own + self.change.added().view_as(own)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of its input with that weight."""
        found: Tensor = functional_call(self.layer, {"weight": self.weight()}, (x,))
        return found


def merged(network: nn.Module) -> nn.Module:
    """A copy of an adapted network in which the adapter is part of the weights.

    Args:
        network: what `Adapter.attach` made; it is not changed.
    """

    @torch.no_grad()
    def merge(module: nn.Module) -> nn.Module | None:
        if not isinstance(module, Adapted):
            return None
        if module not in done:
            module.layer.weight.copy_(module.weight())
            done.add(module)
        return module.layer

    done: set[nn.Module] = set()
    return _exchanged(copy.deepcopy(network), merge)


def _exchanged(module: nn.Module, exchange: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """The module, or what stands in for it, and so on for its children."""
    other = exchange(module)
    if other is not None:
        return other
    for name, child in list(module._modules.items()):  # a layer may be there by two names
        if child is not None:
            setattr(module, name, _exchanged(child, exchange))
    return module
