"""A perceptron that has learned digits, and other digits to tune it on: turned by a right angle."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.trials.data import Labelled
from glocal.trials.lab import Lab

LEARNED, WIDTH = 200, 256


@cache
def learned(seed: int, smoke: bool) -> nn.Sequential:
    """Two hidden layers of 256 units, trained on the digits of training as they are."""
    lab = Lab(seed, smoke=smoke)
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10)
    )
    tune(network, lab.digits(8).train, lr=3e-3, steps=lab.steps(LEARNED))
    return network


def turned(data: Labelled) -> Labelled:
    """The same digits, turned by a right angle."""
    return Labelled(np.ascontiguousarray(np.rot90(data.images, axes=(1, 2))), data.labels)


def grey(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Pixels ``(n, 64)`` in [-.5, .5]."""
    return torch.from_numpy(images[..., 0].reshape(len(images), -1)).float() / 255 - 0.5


def tune(network: nn.Module, data: Labelled, *, lr: float, steps: int) -> list[float]:
    """Train what needs a gradient with Adam on all images in each step.

    Returns:
        The loss before each step.
    """
    pixels, labels = grey(data.images), torch.from_numpy(data.labels)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr)
    losses = []
    for _ in range(steps):
        loss = functional.cross_entropy(network(pixels), labels)
        losses.append(float(loss.detach()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return losses


@torch.no_grad()
def loss_of(network: nn.Module, data: Labelled) -> float:
    """The cross entropy."""
    return float(
        functional.cross_entropy(network(grey(data.images)), torch.from_numpy(data.labels))
    )


def biases_only(network: nn.Sequential) -> nn.Sequential:
    """A copy of a network in which only the biases learn."""
    made = copy.deepcopy(network)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))
    return made


def count_learned(network: nn.Module) -> int:
    """How many numbers learn."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)
