"""Linear mode connectivity: the barrier of the loss on the line between two networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from glocal.errors import LearnError


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """The loss on the way from one network to another.

    Attributes:
        points: ``(k,)`` shares of the second network, from 0 to 1.
        losses: ``(k,)`` at these points.
        barrier: the largest excess of the loss over the straight line between its ends; 0 where it
            lies nowhere above.
        layers: for each layer the same, where that layer alone goes from the first network to
            the second.
    """

    points: NDArray[np.float64]
    losses: NDArray[np.float64]
    barrier: float
    layers: Mapping[str, float]


def study_line(
    one: nn.Module,
    other: nn.Module,
    loss: Callable[[nn.Module], float],
    *,
    points: int = 11,
    layers: bool = True,
) -> Landscape:
    """Measure the barrier between two networks, overall and for each layer.

    On the line ``t_a = (1 - a) t_0 + a t_1`` of all weights and running statistics it is

    ``B = max_a L(t_a) - (1 - a) L(t_0) - a L(t_1)``.

    Networks without a barrier lie in one basin: they can be merged, or averaged. Networks that were
    trained apart have one even if they compute the same, unless their units are brought into one
    order first.

    Source: Singh, Adilova, Kamp, Fischer, Schölkopf and Hofmann, Landscaping Linear Mode
    Connectivity, 2024; the barrier is that of Frankle, Dziugaite, Roy and Carbin, Linear Mode
    Connectivity and the Lottery Ticket Hypothesis, 2020.

    Deviations: running statistics are interpolated as well, unless ``loss`` measures them again.

    Args:
        one: First network; it is not changed.
        other: Second network, of the same architecture.
        loss: The loss of a network, lower is better; it may train running statistics again.
        points: How many points of the line are measured, its ends among them.
        layers: Whether each layer is measured, too; a layer is a module with weights of its own.

    Raises:
        LearnError: The networks differ in their weights, or there are fewer than three points.
    """
    start, end = one.state_dict(), other.state_dict()
    if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in end.items()}:
        raise LearnError("the networks have different weights; give two of one architecture")
    if points < 3:
        raise LearnError(f"a line needs at least 3 points, not {points}")
    shares = np.linspace(0, 1, points)
    losses = _along(one, start, end, list(start), loss, shares)
    found: dict[str, float] = {}
    if layers:
        for name, names in _layers(one).items():
            found[name] = _barrier(shares, _along(one, start, end, names, loss, shares))
    return Landscape(shares, losses, _barrier(shares, losses), found)


def _along(
    network: nn.Module,
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    names: Sequence[str],
    loss: Callable[[nn.Module], float],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The losses where some weights go from one network to the other."""
    losses = []
    for share in shares.tolist():
        between = dict(start)
        for name in names:
            if start[name].is_floating_point():
                between[name] = (1 - share) * start[name] + share * end[name]
        made = copy.deepcopy(network)
        made.load_state_dict(between)
        losses.append(float(loss(made)))
    return np.array(losses)


def _barrier(shares: NDArray[np.float64], losses: NDArray[np.float64]) -> float:
    straight = (1 - shares) * losses[0] + shares * losses[-1]
    return max(0.0, float((losses - straight).max()))


def _layers(network: nn.Module) -> dict[str, list[str]]:
    """Names of the weights and statistics of each module that has parameters of its own."""
    found = {}
    for name, module in network.named_modules():
        own = [key for key in module.state_dict() if "." not in key]
        if own and any(True for _ in module.parameters(recurse=False)):
            found[name] = [f"{name}.{key}" if name else key for key in own]
    return found
