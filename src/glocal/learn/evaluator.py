"""Evaluate a model during training: retrieval on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.encoders.card import Card
from glocal.encoders.fit import fit
from glocal.evaluate import evaluate_labelled
from glocal.learn.heads.pooled import Pooled
from glocal.learn.model import Model

Pixels = NDArray[np.uint8]
Encode = Callable[[Iterable[Pixels]], NDArray[np.float32]]
Alter = Callable[[Pixels, np.random.Generator], Pixels]
_MOST_COPIES = 200


class Evaluation(Protocol):
    """Measures a model during its training; the best one is kept."""

    @property
    def has_images(self) -> bool:
        """Whether there is anything to measure with."""

    @property
    def decisive(self) -> str:
        """Name of the figure that is highest for the best model."""

    def __call__(self, encode: Encode) -> dict[str, float]:
        """Figures by name.

        Args:
            encode: turns images into vectors ``(n, d)``.
        """


def input_card(side: int, everything: dict[str, Any] | None = None) -> Card:
    """A card with the input size of a model, for `glocal.encoders.fit`."""
    return Card("being trained", 1, "", 1, side * side, 32, 4.0, everything or {})


def model_images(images: Iterable[Pixels], side: int, device: torch.device) -> Iterable[Any]:
    """Yield images ``(h, w, 3)`` as model inputs, one at a time, each in its own shape."""
    card = input_card(side)
    for image in images:
        pixels = torch.from_numpy(np.array(fit(image, card)))  # torch needs a writable array
        yield pixels.to(device).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def vectors_of(
    model: Model, images: Iterable[Pixels], *, side: int, pooled: bool
) -> NDArray[np.float32]:
    """Vectors ``(n, d)`` of images at the input size of the finished model.

    Args:
        model: model in evaluation mode.
        images: ``(h, w, 3)`` uint8.
        side: side of the finished model's input, in pixels.
        pooled: return the pooled features before whitening, if the head has them.
    """
    device = next(model.parameters()).device
    head = model.head
    found = []
    for image in model_images(images, side, device):
        if pooled and isinstance(head, Pooled):
            vector: Tensor = head.pooled(model.backbone(image))
        else:
            vector = model(image).vector
        found.append(vector[0].float().cpu().numpy())
    return np.stack(found)


class Evaluator:
    """Measures retrieval on held-out images by labels, by altered copies, or both.

    Args:
        read: reads an image by its number.
        labelled: numbers of held-out images with labels.
        labels: labels of these images.
        copied: numbers of held-out images to be found by an altered copy.
        alter: alters a copy; the same generator state gives the same copy.
        seed: seed of the copies.
    """

    decisive = "mAP"

    def __init__(
        self,
        read: Callable[[int], Pixels],
        *,
        labelled: Sequence[int],
        labels: Sequence[int],
        copied: Sequence[int],
        alter: Alter,
        seed: int,
    ) -> None:
        self.read, self.alter, self.seed = read, alter, seed
        self.labelled, self.labels, self.copied = labelled, labels, copied

    @property
    def has_images(self) -> bool:
        """Whether there are held-out images to evaluate on."""
        return bool(len(self.labelled) or len(self.copied))

    def __call__(self, encode: Encode) -> dict[str, float]:
        """Mean average precision of each kind, and ``mAP``, their mean.

        Args:
            encode: turns images into vectors ``(n, d)``.
        """
        figures = {}
        if len(self.labelled):
            found = encode(map(self.read, self.labelled))
            result = evaluate_labelled(found, self.labels, found, self.labels, exclude_self=True)
            figures["mAP labels"] = result.mean_ap
        if len(self.copied):
            found = encode(map(self.read, self.copied))
            asked = self.copied[:_MOST_COPIES]
            copies = (
                self.alter(self.read(number), np.random.default_rng([self.seed, 3, number]))
                for number in asked
            )
            queries = encode(copies)
            result = evaluate_labelled(queries, list(asked), found, list(self.copied))
            figures["mAP copies"] = result.mean_ap
        return figures | {"mAP": float(np.mean(list(figures.values())))}
