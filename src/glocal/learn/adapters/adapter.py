"""What an adapter is: few parameters beside frozen weights, merged into them afterwards."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

from glocal.errors import LearnError

Network = TypeVar("Network", bound=nn.Module)
_KINDS = (nn.Linear, nn.Conv2d)


class Adapter(ABC):
    """Adapts the weights of linear layers and convolutions; a subclass writes the mathematics.

    A convolution's weight ``(out, in, k, k)`` is taken for a matrix ``(out, in k k)``. Grouped
    convolutions, whose matrices have few columns, stay as they are.

    Attributes:
        name: its name in the registry.
    """

    name: ClassVar[str]

    def attach(self, network: Network) -> Network:
        """A copy of a network in which only the adapter learns.

        It computes the same as the network until it is trained. `merged` makes a network of the
        original layers of it.

        Args:
            network: a trained network; it is not changed.

        Raises:
            LearnError: it has no layer that could be adapted.
        """
        adapted = copy.deepcopy(network)
        adapted.requires_grad_(False)
        layers = list(_layers(adapted))
        if not layers:
            raise LearnError(
                f"{type(network).__name__} has no linear layer and no convolution of one group; "
                "an adapter needs one"
            )
        for layer in layers:
            weight = layer.weight.detach()
            change = self.change(weight.flatten(1))
            change.to(weight.device)
            parametrize.register_parametrization(layer, "weight", change, unsafe=True)
        return adapted

    @abstractmethod
    def change(self, weight: Tensor) -> Change:
        """What changes a weight ``(out, in)``."""


class Change(nn.Module, ABC):
    """A weight and what was learned, added: a parametrisation in PyTorch's sense."""

    @abstractmethod
    def added(self) -> Tensor:
        """What is added to the matrix ``(out, in)``; zeros before training."""

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight, in the shape of the weight."""
        return weight + self.added().view_as(weight)


def merged(network: Network) -> Network:
    """A copy of an adapted network in which the adapter is part of the weights.

    Args:
        network: what `Adapter.attach` made; it is not changed.
    """
    plain = copy.deepcopy(network)
    for layer in _layers(plain):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return plain


def _layers(network: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    for layer in network.modules():
        if isinstance(layer, _KINDS) and getattr(layer, "groups", 1) == 1:
            yield layer
