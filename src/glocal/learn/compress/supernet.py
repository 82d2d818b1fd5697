"""One network that is many smaller ones at once, by what its layers read and where stages end."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from glocal.errors import CompressError
from glocal.learn.compress.channels import ChannelGroups
from glocal.learn.graft import Residual


@dataclass(frozen=True, slots=True)
class _Term:
    """A layer's operations, the shares of its inputs and outputs by group, and its unit."""

    cost: int
    reads: dict[int, float]
    makes: dict[int, float]
    unit: tuple[int, int] | None


class Choices:
    """What can be chosen of a network: the width of each group of channels, the depth of each run.

    Choices are numbered, groups first; a choice is the number of one of its candidates, which rise
    with the operations.

    Args:
        model: the network.
        groups: its groups of channels.
        runs: names of residual units that follow each other.
        shares: candidates of widths, in parts of the channels.

    Attributes:
        candidates: of each choice the numbers of channels, or of units, that can be kept.
        roots: the group of each of the first choices.
        whole: operations of the network itself.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: ChannelGroups,
        runs: Sequence[tuple[str, ...]],
        shares: Sequence[float],
    ) -> None:
        self.roots, self.runs, self.whole = list(groups.sizes), list(runs), groups.flops
        self.candidates = [
            sorted({max(1, round(share * size)) for share in (*shares, 1.0)})
            for size in groups.sizes.values()
        ]
        self.candidates += [list(range(len(run) + 1)) for run in runs]
        self._orders: list[list[int]] = []
        self._reads: list[dict[str, list[list[int]]]] = []
        self._makes: list[dict[str, list[list[int]]]] = []
        for root, size in groups.sizes.items():
            magnitudes = groups.magnitudes(model, root)
            self._orders.append(magnitudes.argsort(descending=True, stable=True).tolist())
            reads, makes = {}, {}
            own = [groups.touched(root, [channel]) for channel in range(size)]
            for parts in zip(*own, strict=True):
                numbers = [list(each.channels) for each in parts]
                layer = model.get_submodule(parts[0].layer)
                if parts[0].side == "in" and isinstance(layer, nn.Conv2d | nn.Linear):
                    reads[parts[0].layer] = numbers
                elif parts[0].side in ("out", "both"):
                    makes[parts[0].layer] = numbers
            self._reads.append(reads)
            self._makes.append(makes)
        self._terms = [self._term(model, name, cost) for name, cost in groups._costs.items()]

    def _term(self, model: nn.Module, name: str, cost: int) -> _Term:
        """What the operations of a layer hang on."""
        layer: Any = model.get_submodule(name)
        ins = getattr(layer, "in_channels", getattr(layer, "in_features", 1))
        outs = getattr(layer, "out_channels", getattr(layer, "out_features", 1))
        unit = [
            (number, place)
            for number, run in enumerate(self.runs, len(self.roots))
            for place, each in enumerate(run)
            if name == each or name.startswith(f"{each}.")
        ]
        return _Term(
            cost,
            {n: _count(each[name]) / ins for n, each in enumerate(self._reads) if name in each},
            {n: _count(each[name]) / outs for n, each in enumerate(self._makes) if name in each},
            unit[0] if unit else None,
        )

    def readers(self) -> Iterator[tuple[int, str, list[list[int]]]]:
        """Each choice of a width, a layer that reads its channels, and their numbers there."""
        for number, reads in enumerate(self._reads):
            for layer, numbers in reads.items():
                yield number, layer, numbers

    def order(self, number: int) -> list[int]:
        """Channels of a group, those with the largest filters first."""
        return self._orders[number]

    def order_in(self, layer: str) -> list[int]:
        """The outputs of a layer in the order of its group."""
        number = self._group_of(layer)
        numbers = self._makes[number][layer]
        return [place for channel in self._orders[number] for place in numbers[channel]]

    def removed_of(self, layer: str, sizes: Sequence[int]) -> int:
        """How many outputs of a layer go."""
        number = self._group_of(layer)
        total, kept = len(self._orders[number]), self.candidates[number][sizes[number]]
        return (total - kept) * len(self.order_in(layer)) // total

    def dropped(self, sizes: Sequence[int]) -> tuple[str, ...]:
        """Units that go: the last ones of each run."""
        first = len(self.roots)
        return tuple(
            unit
            for number, run in enumerate(self.runs, first)
            for unit in run[self.candidates[number][sizes[number]] :]
        )

    def flops(self, sizes: Sequence[int]) -> float:
        """Operations of one pass with these choices."""
        return float(
            self.expected(
                [
                    functional.one_hot(torch.tensor(size), len(each)).float()
                    for size, each in zip(sizes, self.candidates, strict=True)
                ]
            )
        )

    def expected(self, chances: Sequence[Tensor]) -> Tensor:
        """Operations expected of choices with these probabilities, differentiable.

        Inputs and outputs of a layer count as independent, also where they are the same group.
        """
        lost = [
            1 - (chances[number] @ torch.tensor(self.candidates[number]).float()) / len(order)
            for number, order in enumerate(self._orders)
        ]
        total = torch.zeros(())
        for term in self._terms:
            read = 1 - sum(part * lost[number] for number, part in term.reads.items())
            made = 1 - sum(part * lost[number] for number, part in term.makes.items())
            share = read * made
            if term.unit is not None:
                number, place = term.unit
                share = share * chances[number][place + 1 :].sum()
            total = total + term.cost * share
        return total

    def _group_of(self, layer: str) -> int:
        for number, makes in enumerate(self._makes):
            if layer in makes:
                return number
        raise CompressError(f"the layer {layer!r} is in no group of channels that can be removed")


class SuperNetwork(nn.Module):
    """A copy of a network that computes a sum of smaller ones, while it is entered.

    Args:
        model: the network.
        choices: what can be chosen of it.
    """

    def __init__(self, model: nn.Module, choices: Choices) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).train()
        self._choices = choices
        self._readers = [
            (number, name, torch.tensor(numbers)) for number, name, numbers in choices.readers()
        ]
        self._mixers: list[Tensor] = []
        self._depths: list[Mapping[int, Tensor]] = []
        self._hooks: list[RemovableHandle] = []
        self._after: dict[int, list[Tensor]] = {}

    def learned(self) -> list[nn.Parameter]:
        """What a step for the weights changes."""
        return [each for each in self.model.parameters() if each.requires_grad]

    def draw(self, weights: Sequence[Mapping[int, Tensor]]) -> None:
        """Set which candidates are summed: of each choice some, with their weights."""
        choices, first = self._choices, len(self._choices.roots)
        self._mixers = [
            mixer({choices.candidates[number][each]: w for each, w in weights[number].items()},
                  choices.order(number))
            for number in range(first)
        ]  # fmt: skip
        self._depths = list(weights[first:])

    def forward(self, images: Tensor) -> Any:
        """What the sum of the smaller networks gives.

        A layer that reads mixed channels is the layer with its weights mixed.
        """
        weights: dict[str, Tensor] = {}
        for number, name, places in self._readers:
            key = f"{name}.weight"
            found = weights.get(key, self.model.get_parameter(key))
            weights[key] = mixed(found, self._mixers[number], places)
        return functional_call(self.model, weights, (images,))

    def __enter__(self) -> SuperNetwork:
        for number, run in enumerate(self._choices.runs):
            for place, name in enumerate(run):
                last = place == len(run) - 1

                def keep(
                    module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor,
                    number: int = number, place: int = place, last: bool = last,
                ) -> Tensor:  # fmt: skip
                    if place == 0:
                        self._after[number] = [inputs[0]]
                    self._after[number].append(output)
                    if not last:
                        return output
                    after = self._after.pop(number)
                    terms = [after[depth] * w for depth, w in self._depths[number].items()]
                    return torch.stack(terms).sum(dim=0)

                self._hooks.append(self.model.get_submodule(name).register_forward_hook(keep))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


@cache
def interpolation(channels: int, wanted: int) -> Tensor:
    """Channel-wise interpolation as a matrix ``(wanted, channels)``.

    Row ``i`` averages the channels from ``⌊i C / C'⌋`` to ``⌈(i + 1) C / C'⌉``, as adaptive average
    pooling does over cells.
    """
    return functional.adaptive_avg_pool1d(torch.eye(channels)[None], wanted)[0].T


def mixer(weights: Mapping[int, Tensor], order: Sequence[int]) -> Tensor:
    """The matrix ``(channels, channels)`` that stands for a weighted sum of narrower maps.

    Args:
        weights: of each number of channels its weight.
        order: channels, the first ones to keep first.
    """
    size, widest = len(order), max(weights)
    total = torch.zeros(widest, size)
    for count, weight in weights.items():
        total = total + weight * functional.pad(interpolation(count, widest), (0, size - count))
    total = functional.pad(total, (0, 0, 0, size - widest))
    back = torch.tensor(order).argsort()
    return total[back][:, back]


def mixed(weight: Tensor, matrix: Tensor, places: Tensor) -> Tensor:
    """Weights of a layer that does to its inputs what another does to mixed ones.

    Args:
        weight: ``(out, in, ...)`` of the other one.
        matrix: ``(channels, channels)``, by which the channels of a group are mixed.
        places: ``(channels, k)`` numbers that each channel of the group has among the inputs.
    """
    found = weight.clone()
    for numbers in places.T:
        found[:, numbers] = torch.einsum("oc...,cd->od...", weight[:, numbers], matrix)
    return found


def runs_of_units(model: nn.Module) -> list[tuple[str, ...]]:
    """Names of residual units that follow each other in a sequence, run by run."""
    found = []
    for name, parent in model.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        run: list[str] = []
        for child, module in [*parent.named_children(), ("", nn.Identity())]:
            if isinstance(module, Residual) or getattr(module, "adds", False) is True:
                run.append(f"{name}.{child}" if name else child)
            elif run:
                found.append(tuple(run))
                run = []
    return found


def _count(numbers: list[list[int]]) -> int:
    return sum(len(each) for each in numbers)
