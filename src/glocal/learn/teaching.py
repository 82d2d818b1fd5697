"""Teach the layers of a model file to agree with the file as it was.

It is for a file that is to be quantised and for one whose layers became narrower. The teacher runs
in ONNX Runtime; the gradient passes through the layers alone. No labels are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.augment import Augmentation
from glocal.learn.file_layers import FileLayers
from glocal.learn.file_vector import FileVector
from glocal.learn.quantization import Images, open_model

_POOLED = 5.0  # weight of the vectors' part in the loss


class Teaching:
    """Trains layers, in place, to give what the whole file gives.

    Args:
        student: the layers.
        model: the whole file, a ``ModelProto``: the teacher.
        lr: highest learning rate; it rises in `warm` steps and falls as a cosine.
        warm: number of steps.
        relative: whether `lr` is a share of the size of the weights of each output channel.
        end: computes vectors of what the student gives, to compare them too; it learns as well
            where it has weights that do.

    Attributes:
        done: number of steps so far.
    """

    def __init__(
        self,
        student: FileLayers,
        model: Any,
        *,
        lr: float,
        warm: int,
        relative: bool = False,
        end: FileVector | None = None,
    ) -> None:
        self.done = 0
        self._student, self._end, self._lr, self._warm = student, end, lr, warm
        self._names = [*student.given, *student.watched]
        self._teacher = open_model(model, self._names)
        # In this layout convolutions of each channel by itself are faster.
        student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        products = [*student.products(), *(end.products if end is not None else ())]
        learned = [each for pair in products for each in pair if each is not None]
        self._optimizer = torch.optim.Adam(learned, lr=lr)
        self._sizes = [size for pair in products for size in _sizes(*pair)] if relative else None

    def step(self, images: NDArray[np.uint8], steps: int) -> float:
        """Learn from a batch.

        Args:
            images: ``(b, h, w, 3)`` uint8.
            steps: how many there are to be in all.

        Returns:
            The loss before the step.

        Raises:
            LearnError: the loss is no number.
        """
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / steps)))
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr * fall * min(1.0, (self.done + 1) / self._warm)
        names = self._names
        rows = [self._teacher.run([*names, "vector"], {"image": image[None]}) for image in images]
        *known, vectors = (
            torch.from_numpy(np.stack([np.asarray(row[n]) for row in rows]))
            for n in range(len(names) + 1)
        )
        told = {name: value.squeeze(1) for name, value in zip(names, known, strict=True)}
        given = {
            name: told[name].contiguous(memory_format=torch.channels_last)
            for name in self._student.given
        }
        found = self._student(given)
        loss = difference(found, {name: told[name] for name in self._student.watched})
        if self._end is not None:
            wanted = functional.normalize(vectors.flatten(1), dim=1)
            loss = loss + _POOLED * (1 - (self._end(found) * wanted).sum(1)).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._move()
        self.done += 1
        reached = float(loss.detach())
        if not math.isfinite(reached):
            raise LearnError(f"after {self.done} steps the loss is {reached}; use fewer --steps")
        return reached

    @torch.no_grad()
    def _move(self) -> None:
        if self._sizes is None:
            self._optimizer.step()
            return
        learned = self._optimizer.param_groups[0]["params"]
        before = [each.detach().clone() for each in learned]
        self._optimizer.step()
        for each, was, size in zip(learned, before, self._sizes, strict=True):
            each.copy_(was + size * (each - was))

    def state(self) -> dict[str, Any]:
        """All that has to be kept to go on later."""
        return {
            "done": self.done,
            "model": self._student.state_dict(),
            "end": {} if self._end is None else self._end.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same teaching."""
        self.done = int(state["done"])
        self._student.load_state_dict(state["model"])
        if self._end is not None:
            self._end.load_state_dict(state["end"])
        self._optimizer.load_state_dict(state["optimizer"])


def _sizes(weight: Tensor, bias: Tensor | None) -> Iterator[Tensor]:
    """How large weights are and, if it has one, the bias: for each output channel of a filter."""
    axes = tuple(range(1 if weight.ndim == 4 else 0, weight.ndim))
    size = weight.detach().square().mean(axes, keepdim=True).sqrt().clamp_min(1e-8)
    yield size
    if bias is not None:  # it shifts sums of as many products as a channel has weights
        inputs = weight[0].numel() if weight.ndim == 4 else weight.numel() / len(bias)
        yield size.flatten() * math.sqrt(inputs)


def difference(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Squared error of each tensor relative to its power, and of what a pooling will see of it."""
    losses = []
    for name, target in wanted.items():
        power = target.square().mean().clamp_min(1e-12)
        losses.append((found[name] - target).square().mean() / power)
        pooled = [
            functional.normalize(each.clamp_min(1e-6).pow(3).mean((2, 3)).pow(1 / 3))
            for each in (found[name], target)
        ]
        losses.append(_POOLED * (1 - (pooled[0] * pooled[1]).sum(1)).mean())
    return torch.stack(losses).sum() / len(wanted)


def squares(images: Images, *, batch: int, side: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Squares cut out of images, half of them mirrored, ``(batch, side, side, 3)``, for ever."""
    rng = np.random.default_rng(seed)
    side = min(side, *(min(image.shape[1:3]) for image in images))
    while True:
        cut = []
        for number in rng.integers(0, len(images), batch):
            image = images[number][0]
            y, x = (rng.integers(0, length - side + 1) for length in image.shape[:2])
            square = image[y : y + side, x : x + side]
            cut.append(square[:, ::-1] if rng.random() < 0.5 else square)
        yield np.stack(cut)


def two_views(
    images: Images, *, batch: int, side: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Two views of each of some images, one nearly as it is and one much altered.

    Args:
        images: each ``(1, h, w, 3)`` uint8.
        batch: number of views, an even one.
        side: of the views, in pixels.
        rng: source of all choices.

    Returns:
        ``(batch, side, side, 3)``.
    """
    mild, strong = (Augmentation(side=side, strength=each, mirror=True) for each in (0.1, 0.8))
    chosen = [images[number][0] for number in rng.integers(0, len(images), batch // 2)]
    return np.stack([view(image, rng) for image in chosen for view in (mild, strong)])
