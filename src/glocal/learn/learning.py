"""A model in training, with its recipe and optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glocal.learn.batches import Batch
from glocal.learn.contracts import Objective
from glocal.learn.model import Model

if TYPE_CHECKING:
    from glocal.learn.recipes.recipe import Recipe

_CLASS_RATE = 10  # how much faster class weights learn: they start at random
_WEIGHT_DECAY = 0.01
_LONGEST_GRADIENT = 5.0

MakeOptimizer = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""Makes an optimizer of groups of parameters, each with its ``lr`` and ``weight_decay``."""


@dataclass(slots=True)
class Learning:
    """The model in training, with its recipe and optimizer.

    Attributes:
        model: the model that learns.
        recipe: what a step does; it has the objectives.
        device: device that holds the model and the recipe.
        precision: type that the network computes in; weights are always float32.
        done: part of the training that is done, in [0, 1].
        scaler: keeps gradients in the range of float16; does nothing for other precisions.
    """

    model: Model
    recipe: Recipe
    device: torch.device
    precision: torch.dtype = torch.float32
    done: float = 0.0
    optimizer: torch.optim.Optimizer = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        # bfloat16 has the range of float32 and needs no scaling of the loss.
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.precision == torch.float16
        )

    def make_optimizer(self, lr: float, make: MakeOptimizer = torch.optim.AdamW) -> None:
        """Make the optimizer: class weights learn faster; biases and gains do not decay."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter, is_class_weight in self._learned():
            rate, decay = lr, _WEIGHT_DECAY if parameter.ndim > 1 else 0.0
            if is_class_weight:
                rate, decay = lr * _CLASS_RATE, 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        self.optimizer = make(
            [
                {"params": parameters, "lr": rate, "weight_decay": decay, "highest": rate}
                for (rate, decay), parameters in groups.items()
            ]
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters that the optimizer changes."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    @property
    def fast(self) -> torch.autocast:
        """Context in which the network computes in half precision, if `precision` says so."""
        return torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        )

    def tensors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """A batch on the device.

        Returns:
            Pixels ``(b, 3, h, w)`` float in [0, 1]; labels ``(b,)``; and the labels of the views,
            ``(v,)``, or ``(v, 2)`` if some are mixed from two images.
        """
        pixels = torch.from_numpy(batch.images).to(self.device).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(batch.labels).to(self.device)
        shown = labels[batch.labelled :]
        if batch.second is not None:
            second = torch.from_numpy(batch.second).to(self.device)
            shown = torch.stack([labels, second], dim=1)[batch.labelled :]
        return pixels.contiguous(memory_format=torch.channels_last), labels, shown

    def descend(self, parts: dict[str, Tensor]) -> dict[str, float]:
        """Take a step down the sum of the terms of a loss, and return the loss and its terms."""
        loss = torch.stack([part.float() for part in parts.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.update()
        return {name: float(part.detach()) for name, part in ({"loss": loss} | parts).items()}

    def update(self) -> None:
        """Change the parameters by their gradients, which are of the loss as `scaler` scaled it."""
        self.scaler.unscale_(self.optimizer)
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], _LONGEST_GRADIENT)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _learned(self) -> Iterator[tuple[nn.Parameter, bool]]:
        """Parameters that need a gradient, and whether they belong to an objective."""
        objectives = [m for m in self.recipe.modules() if isinstance(m, Objective)]
        fast = {id(parameter) for made in objectives for parameter in made.parameters()}
        for module in (self.model, self.recipe):
            for parameter in module.parameters():
                if parameter.requires_grad:
                    yield parameter, id(parameter) in fast
