"""What backbones, heads and objectives promise each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError


@dataclass(frozen=True, slots=True)
class Level:
    """One of the feature maps a backbone makes.

    Attributes:
        stride: pixels of the image from one cell to the next.
        width: channels.
        offset: where in the image the centre of the first cell's receptive field lies, in
            pixels; pixel ``i`` reaches from ``i`` to ``i + 1``. Half a stride only where the
            network pads evenly on both sides, which few do.
    """

    stride: int
    width: int
    offset: float


@dataclass(frozen=True, slots=True)
class Local:
    """The local features of a batch of images, each image's strongest first.

    Attributes:
        keypoints: ``(b, m, 2)``, x and y as fractions of the image's width and height.
        descriptors: ``(b, m, e)``, unit rows.
        strengths: ``(b, m)``, at least 0.
    """

    keypoints: Tensor
    descriptors: Tensor
    scores: Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """What a head makes of a batch of images.

    Attributes:
        vector: ``(b, d)``, unit rows.
        local: the local features, where the head has some.
        attention: ``(b, h, w)``, at least 0: how much each cell counted, where the head says so.
        kept: what the head's own `Head.loss` needs of this pass; nobody else's business.
    """

    vector: Tensor
    local: Local | None = None
    attention: Tensor | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)


class Backbone(nn.Module, ABC):
    """Turns images into feature maps.

    A subclass sets `levels` and `stages`; each stage takes the map before it and makes the map of
    one level, unless the subclass has its own `maps`. Pixel normalisation is inside.

    Attributes:
        levels: of the maps, fine to coarse.
        stages: the modules with the weights, in the order an image passes them.
    """

    levels: tuple[Level, ...]
    stages: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self._frozen = 0

    @property
    def multiple(self) -> int:
        """Height and width of an image are multiples of this many pixels."""
        return self.levels[-1].stride

    @abstractmethod
    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] to what the weights were trained with."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the maps.

        Args:
            image: ``(b, 3, h, w)`` float in [0, 1], sides multiples of `multiple`.

        Returns:
            For each of `levels`, ``(b, width, h / stride, w / stride)``.

        Raises:
            LearnError: the shape is not as it should be.
        """
        if not torch.compiler.is_compiling():
            self._check(image)
        return self.maps(self.normalise(image))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the maps of normalised pixels."""
        found = []
        for stage in self.stages:
            pixels = stage(pixels)
            found.append(pixels)
        return found

    def _check(self, image: Tensor) -> None:
        shape = tuple(image.shape)
        if len(shape) != 4 or shape[1] != 3 or not image.is_floating_point():
            raise LearnError(f"a backbone takes (b, 3, h, w) float, not {shape} {image.dtype}")
        if shape[2] % self.multiple or shape[3] % self.multiple or 0 in shape:
            raise LearnError(
                f"an image of {shape[3]}x{shape[2]} pixels does not fit: both sides have to be "
                f"multiples of {self.multiple}"
            )

    def freeze(self, stages: int) -> None:
        """Stop the first stages from learning: weights and running statistics stay as they are.

        Args:
            stages: how many, from the image on; 0 lets all of them learn again.

        Raises:
            LearnError: there are not that many.
        """
        if not 0 <= stages <= len(self.stages):
            raise LearnError(f"the backbone has {len(self.stages)} stages; {stages} cannot freeze")
        self._frozen = stages
        for number, stage in enumerate(self.stages):
            stage.requires_grad_(number >= stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Switch to training or evaluation; frozen stages stay in evaluation."""
        super().train(mode)
        for stage in self.stages[: self._frozen]:
            stage.eval()
        return self


class Head(nn.Module, ABC):
    """Turns feature maps into one vector, and perhaps local features.

    A subclass is built as ``Head(levels, dim=...)``.

    Attributes:
        mirrors: mirrored maps give the same vector.
        fixed_size: its ONNX graph fits images of one size only.
        learns_classes: it has weights for classes and wants ``classes=...``; 0 does without.
        dim: length of the vector.
    """

    mirrors: ClassVar[bool] = True
    fixed_size: ClassVar[bool] = False
    learns_classes: ClassVar[bool] = False
    dim: int

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Make the output from a backbone's maps, fine to coarse."""

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """What the head itself learns from, beside the objective on the vector.

        Args:
            output: of this head, from a pass in training mode.
            labels: ``(b,)`` int64; of views some of which are mixed of two images ``(b, 2)``, -1
                where there is no second one. Heads with classes are never given such.

        Returns:
            A scalar; zero for heads that have nothing of their own to learn.
        """
        del labels
        return output.vector.new_zeros(())

    def progress(self, done: float) -> None:
        """Hear how much of the training is done, in [0, 1]; called before each epoch."""


class Objective(nn.Module, ABC):
    """Scores a batch of vectors by their labels: less is better.

    A subclass is built as ``Objective()``, or ``Objective(dim=..., classes=...)`` where it learns
    a weight for each class.

    Attributes:
        learns_classes: it has weights for classes, so labels count from 0 to ``classes - 1``;
            otherwise labels only tell which images of a batch show the same thing.
    """

    learns_classes: ClassVar[bool] = False
    classes: int = 0

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss.

        Args:
            vectors: ``(b, d)``; only their directions count.
            labels: ``(b,)`` int64.

        Returns:
            A scalar. It is zero, with a gradient of zero, where a batch has no pairs to learn from.

        Raises:
            LearnError: shapes or labels do not fit.
        """
        self._check(vectors, labels)
        # Half precision around it is for the network: cosines of it are too coarse to be scaled.
        with torch.autocast(vectors.device.type, enabled=False):
            return self.score(vectors.float(), labels)

    @abstractmethod
    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The loss of inputs that are known to fit, `vectors` in single precision."""

    def _check(self, vectors: Tensor, labels: Tensor) -> None:
        if vectors.ndim != 2 or labels.shape != vectors.shape[:1] or labels.is_floating_point():
            raise LearnError(
                f"an objective takes vectors (b, d) and whole labels (b,), not "
                f"{tuple(vectors.shape)} and {tuple(labels.shape)} {labels.dtype}"
            )
        if self.learns_classes and len(labels):
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= self.classes:
                raise LearnError(
                    f"labels reach from {low} to {high}, but the objective was made for "
                    f"{self.classes} classes: 0 to {self.classes - 1}"
                )
