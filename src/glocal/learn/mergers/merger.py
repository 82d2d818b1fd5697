"""What a merger is: networks that were tuned from one become one, without any image."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError

Network = TypeVar("Network", bound=nn.Module)


class Merger(ABC):
    """Merges networks that were tuned from one; a subclass writes only the mathematics.

    Attributes:
        name: its name in the registry.
    """

    name: ClassVar[str]

    def merge(self, base: Network, tuned: Sequence[nn.Module]) -> Network:
        """A network of the weights of several, as large as one of them.

        Parameters are merged by the method. Running statistics, which are buffers of floating-point
        numbers, are averaged; whatever else is a buffer is the base's. Layers that normalise by
        running statistics fit better when these are measured again on a few images.

        Args:
            base: the network that all were tuned from; it is not changed.
            tuned: one or more of the same architecture.

        Returns:
            A copy of the base with other weights, in its mode.

        Raises:
            LearnError: there is none, or one has other weights than the base.
        """
        _check(base, tuned)
        merged = copy.deepcopy(base)
        with torch.no_grad():
            start = _flat(base)
            changes = torch.stack([_flat(each) - start for each in tuned])
            found, first = start + self.change(changes), 0
            for parameter in merged.parameters():
                part = found[first : first + parameter.numel()]
                parameter.copy_(part.view_as(parameter))
                first += parameter.numel()
            others = [dict(each.named_buffers()) for each in tuned]
            for name, buffer in merged.named_buffers():
                if buffer.is_floating_point():
                    buffer.copy_(torch.stack([each[name] for each in others]).mean(dim=0))
        return merged

    @abstractmethod
    def change(self, changes: Tensor) -> Tensor:
        """How the base's parameters have to change.

        Args:
            changes: ``(t, p)`` float: what each of t tunings has added to the p parameters.

        Returns:
            ``(p,)``.
        """


def _flat(network: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten().float() for each in network.parameters()])


def _check(base: nn.Module, tuned: Sequence[nn.Module]) -> None:
    if not tuned:
        raise LearnError("there is no network to merge; give one or more that were tuned")
    wanted = _shapes(base.state_dict())
    for number, each in enumerate(tuned):
        found = _shapes(each.state_dict())
        if found != wanted:
            other = sorted(set(wanted.items()) ^ set(found.items()))[0][0]
            raise LearnError(
                f"tuned network {number} does not fit the base: they differ in {other!r}; merge "
                "only networks that were tuned from the same one"
            )


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}
