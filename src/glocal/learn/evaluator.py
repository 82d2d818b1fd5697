"""How good a model is while it is trained: retrieval on images held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

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


def input_card(side: int, everything: dict[str, Any] | None = None) -> Card:
    """The sizes of a model's input, in the form that `glocal.encoders.fit` reads."""
    return Card("being trained", 1, "", 1, side * side, 32, 4.0, everything or {})


def model_images(images: Iterable[Pixels], side: int, device: torch.device) -> Iterable[Any]:
    """Images ``(h, w, 3)`` as a model takes them, one at a time, each of its own shape."""
    card = input_card(side)
    for image in images:
        pixels = torch.from_numpy(np.array(fit(image, card)))  # torch wants to be able to write
        yield pixels.to(device).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def vectors_of(
    model: Model, images: Iterable[Pixels], *, side: int, pooled: bool
) -> NDArray[np.float32]:
    """Vectors ``(n, d)`` of images as the finished model would see them.

    Args:
        model: in evaluation mode.
        images: ``(h, w, 3)`` uint8.
        side: of the finished model's input.
        pooled: give the features before the head's last map, where it has such.
    """
    device = next(model.parameters()).device
    head = model.head
    found = []
    for image in model_images(images, side, device):
        maps = model.backbone(image)
        before = head.pooled(maps) if pooled and isinstance(head, Pooled) else None
        vector: Tensor = head(maps).vector if before is None else before
        found.append(vector[0].float().cpu().numpy())
    return np.stack(found)


class Evaluator:
    """Retrieval on held-out images, with labels, by altered copies, or both.

    Args:
        read: makes an image of its number.
        labelled: numbers of held-out images with labels.
        labels: of these.
        copied: numbers of held-out images that are to be found by an altered copy.
        alter: makes the copies, always the same ones.
        seed: of the copies.
    """

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
    def able(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(len(self.labelled) or len(self.copied))

    def __call__(self, encode: Encode) -> dict[str, float]:
        """Mean average precision of each kind, and ``mAP``, their mean.

        Args:
            encode: makes vectors ``(n, d)`` of images.
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
