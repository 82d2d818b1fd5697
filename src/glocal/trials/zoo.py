"""A small network for trials, and how it is trained and tested in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Backbone, Level
from glocal.learn.graft import Residual
from glocal.trials.data import Labelled, accuracy
from glocal.trials.lab import Lab


class SmallResidual(Backbone):
    """A residual network for images of 8 to 32 pixels, with feature maps at strides 1, 2 and 4.

    It has what blocks stand in for: 3x3 convolutions, average poolings, residual sums.

    Args:
        widths: channels of the three stages.
        units: residual units of each stage.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48), *, units: int = 1) -> None:
        super().__init__()
        stages, before = [], 3
        for number, width in enumerate(widths):
            layers: list[nn.Module] = [nn.AvgPool2d(2)] if number else []
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
            layers += [nn.ReLU(), *(Residual(_unit(width)) for _ in range(units))]
            stages.append(nn.Sequential(*layers))
            before = width
        self.stages = nn.ModuleList(stages)
        self.levels = tuple(
            Level(2**number, width, 2**number / 2) for number, width in enumerate(widths)
        )

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [-1, 1]."""
        return image * 2 - 1


def _unit(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )


class Classifier(nn.Module):
    """A backbone, the mean of its coarsest feature map, and a linear classifier.

    Args:
        trunk: backbone.
        classes: number of classes.
    """

    def __init__(self, trunk: Backbone, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.linear = nn.Linear(trunk.levels[-1].width, classes)

    def vectors(self, image: Tensor) -> Tensor:
        """The pooled features ``(b, width)`` of images ``(b, 3, h, w)`` in [0, 1]."""
        found: Tensor = self.trunk(image)[-1].mean(dim=(2, 3))
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the classes ``(b, classes)``."""
        scores: Tensor = self.linear(self.vectors(image))
        return scores


def pixels(images: NDArray[np.uint8]) -> Tensor:
    """Images ``(n, h, w, 3)`` uint8 as ``(n, 3, h, w)`` float in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


def fit(
    model: nn.Module, data: Labelled, *, steps: int, seed: int, batch: int = 64, lr: float = 3e-3
) -> None:
    """Train a classifier with AdamW on random batches, the rate falling to zero.

    Args:
        model: from images to scores of classes; trained in place, then in evaluation mode.
        data: images and labels.
        steps: number of steps.
        seed: seed of the batches.
        batch: images in a step.
        lr: highest learning rate.
    """
    images, labels = pixels(data.images), torch.from_numpy(data.labels)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    random = np.random.default_rng(seed)
    model.train()
    for _ in range(steps):
        chosen = torch.from_numpy(random.choice(len(labels), min(batch, len(labels)), False))
        loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


@torch.no_grad()
def predicted(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The most likely class of each image."""
    found: NDArray[np.int64] = model.eval()(pixels(images)).argmax(dim=1).numpy()
    return found


def trained_accuracy(lab: Lab, trunk: Backbone, *, steps: int = 80) -> float:
    """Accuracy on validation images of digits after a short training, in per cent; 10 is chance.

    Args:
        lab: the side's lab.
        trunk: backbone with blocks grafted into it; trained in place.
        steps: number of steps of 64 images.
    """
    data = lab.digits(8)
    model = Classifier(trunk, data.classes)
    fit(model, data.train, steps=lab.steps(steps), seed=lab.seed)
    return accuracy(predicted(model, data.validation.images), data.validation.labels)


def check_trains(lab: Lab, trunk: Backbone, *, least: float = 80.0) -> None:
    """Check, with the first seed only, that a backbone with blocks learns to tell digits apart."""
    if lab.seed == 0:
        found = trained_accuracy(lab, trunk)
        lab.check("accuracy on digits after 80 steps, per cent (chance is 10)", found, ">", least)


def count_blocks(trunk: nn.Module, kind: type[nn.Module]) -> int:
    """How many blocks of a kind a trunk has."""
    return sum(isinstance(module, kind) for module in trunk.modules())
