"""The contracts between backbones, blocks, necks, heads and objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from glocal.errors import LearnError


@dataclass(frozen=True, slots=True)
class Level:
    """One of the feature maps that a backbone computes.

    Attributes:
        stride: distance between neighbouring cells, in pixels of the image.
        width: number of channels.
        offset: centre of the first cell's receptive field in the image, in pixels, where pixel
            ``i`` reaches from ``i`` to ``i + 1``. It is half a stride only if the network pads
            evenly on both sides, which few do.
    """

    stride: int
    width: int
    offset: float


@dataclass(frozen=True, slots=True)
class Local:
    """The local features of a batch of images, each image's highest-scoring first.

    Attributes:
        keypoints: ``(b, m, 2)``, x and y as fractions of the image's width and height.
        descriptors: ``(b, m, e)``, unit rows.
        scores: ``(b, m)``, at least 0.
    """

    keypoints: Tensor
    descriptors: Tensor
    scores: Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """Output of a head for a batch of images.

    Attributes:
        vector: ``(b, d)``, unit rows.
        local: local features, if the head has them.
        attention: ``(b, h, w)``, at least 0: weight of each cell, if the head has attention.
        kept: tensors of this pass that the head's own `Head.loss` needs; private to the head.
    """

    vector: Tensor
    local: Local | None = None
    attention: Tensor | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)


class Backbone(nn.Module, ABC):
    """Turns images into feature maps.

    A subclass sets `levels` and `stages`; each stage computes the feature map of one level from
    the previous one, unless the subclass overrides `maps`. Pixel normalisation is inside.

    Attributes:
        levels: levels of the feature maps, fine to coarse.
        stages: modules that hold the weights, in the order of computation.
        side: the only side of images that the network takes, where `maps` resizes others to it.
    """

    levels: tuple[Level, ...]
    stages: nn.ModuleList
    side: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self._frozen = 0

    @property
    def multiple(self) -> int:
        """Height and width of an image have to be multiples of this many pixels."""
        return self.levels[-1].stride

    @abstractmethod
    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] to the range that the weights were trained with."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the feature maps.

        Args:
            image: ``(b, 3, h, w)`` float in [0, 1], sides multiples of `multiple`.

        Returns:
            For each of `levels`, ``(b, width, h / stride, w / stride)``.

        Raises:
            LearnError: the shape or type is wrong.
        """
        if not torch.compiler.is_compiling():
            self._check(image)
        return self.maps(self.normalise(image))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the feature maps of normalised pixels."""
        found = []
        for stage in self.stages:
            pixels = stage(pixels)
            found.append(pixels)
        return found

    def _check(self, image: Tensor) -> None:
        shape = tuple(image.shape)
        if len(shape) != 4 or shape[1] != 3 or not image.is_floating_point():
            raise LearnError(
                f"a backbone takes images (b, 3, h, w) float, not {shape} {image.dtype}"
            )
        if shape[2] % self.multiple or shape[3] % self.multiple or 0 in shape:
            raise LearnError(
                f"an image of {shape[3]}x{shape[2]} pixels does not fit: both sides have to be "
                f"multiples of {self.multiple}"
            )

    def freeze(self, stages: int) -> None:
        """Freeze the first stages: their weights and running statistics no longer change.

        Args:
            stages: number of stages to freeze, counted from the image; 0 unfreezes all.

        Raises:
            LearnError: the backbone has fewer stages.
        """
        if not 0 <= stages <= len(self.stages):
            raise LearnError(
                f"the backbone has {len(self.stages)} stages; {stages} cannot be frozen"
            )
        self._frozen = stages
        for number, stage in enumerate(self.stages):
            stage.requires_grad_(number >= stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Switch to training or evaluation mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in self.stages[: self._frozen]:
            stage.eval()
        return self


Role = Literal["conv", "gate", "mixer", "mlp", "residual", "pool"]


class Block(nn.Module, ABC):
    """A layer that can be grafted into a backbone: a feature map in, a feature map out.

    A subclass is built as ``Block(width, out=..., stride=...)``; one with the role ``residual`` as
    ``Block(width, layers=...)``, where each layer computes what would be added to its input. What
    the roles stand in for is said by `glocal.learn.graft.graft`.

    Attributes:
        role: what it can stand in for in a backbone.
        starts_as_identity: whether a trunk computes the same as before when it is grafted.
        widens: whether its output can have another width than its input.
        strides: the strides it can have.
        fixed_size: whether its ONNX graph fits feature maps of one size only.
        width: number of channels of the input.
        out: number of channels of the output.
        stride: how much smaller the output is than the input, rounded up.
    """

    role: ClassVar[Role]
    starts_as_identity: ClassVar[bool] = False
    widens: ClassVar[bool] = False
    strides: ClassVar[tuple[int, ...]] = (1,)
    fixed_size: ClassVar[bool] = False

    def __init__(self, width: int, *, out: int | None = None, stride: int = 1) -> None:
        super().__init__()
        out = width if out is None else out
        if width < 1 or stride not in self.strides or (out != width and not self.widens):
            raise LearnError(
                f"the block {type(self).__name__} cannot go from {width} channels to {out} at "
                f"stride {stride}; it has strides {', '.join(map(str, self.strides))}"
                + ("" if self.widens else " and keeps the number of channels")
            )
        self.width, self.out, self.stride = width, out, stride

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(b, out, h / stride, w / stride)`` from ``(b, width, h, w)``."""

    def merged(self) -> nn.Module:
        """A module that computes the same in evaluation mode with less; itself if there is none."""
        return self


class Neck(nn.Module, ABC):
    """Turns the feature maps of a backbone into other feature maps of the same strides.

    A subclass is built as ``Neck(levels)`` and sets its own `levels`.

    Attributes:
        levels: levels of its feature maps, fine to coarse.
    """

    levels: tuple[Level, ...]

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Compute the new feature maps, fine to coarse."""


class Head(nn.Module, ABC):
    """Turns feature maps into one vector, and optionally local features.

    A subclass is built as ``Head(levels, dim=...)``.

    One with `conditioned` also takes a condition, such as which attribute of the image counts: its
    ``forward(maps, condition=None)`` gets what a recipe, or whoever encodes, passes to
    `glocal.learn.model.Model`. Exported models pass none.

    Attributes:
        conditioned: whether it takes a condition.
        mirrors: whether mirrored feature maps give the same vector.
        fixed_size: whether its ONNX graph fits images of one size only.
        learns_classes: whether it has class weights and takes ``classes=...``, where 0 means
            none.
        dim: length of the vector.
    """

    conditioned: ClassVar[bool] = False
    mirrors: ClassVar[bool] = True
    fixed_size: ClassVar[bool] = False
    learns_classes: ClassVar[bool] = False
    dim: int

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Compute the output from a backbone's feature maps, fine to coarse."""

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """The head's own loss, added to the objective on the vector.

        Args:
            output: output of this head from a pass in training mode.
            labels: ``(b,)`` int64; or ``(b, 2)`` if some views are mixed from two images, -1 where
                there is no second image. Heads with classes never get mixed views.

        Returns:
            A scalar; zero for heads without a loss of their own.
        """
        del labels
        return output.vector.new_zeros(())

    def progress(self, done: float) -> None:
        """Called before each step with the part of the training that is done, in [0, 1]."""


class TwoPassHead(Head):
    """A head that also encodes a crop of each image: its first pass says which.

    `glocal.learn.model.Model` computes `forward`, cuts `boxes` out of the images, scales them to
    squares of `crop_side`, and gives the backbone's feature maps of them to `fuse`.

    Attributes:
        crop_side: side of the crops in pixels, a multiple of what the backbone takes.
    """

    crop_side: int

    @abstractmethod
    def boxes(self, output: Output) -> Tensor:
        """The crops.

        Args:
            output: of the first pass.

        Returns:
            ``(b, 4)``: left, top, right, bottom as fractions of width and height, within [0, 1].
            Where a gradient flows through them, it comes from the pixels of the crop.
        """

    @abstractmethod
    def fuse(self, output: Output, maps: Sequence[Tensor]) -> Output:
        """The output of both passes.

        Args:
            output: of the first pass.
            maps: the backbone's feature maps of the crops, fine to coarse.
        """


Targets = Literal["labels", "values", "multi-hot", "soft"]
_TARGETS = {
    "values": "finite floats",
    "multi-hot": "zeros and ones",
    "soft": "shares of at least 0, of which each row adds up to 1",
}


class Objective(nn.Module, ABC):
    """Loss of a batch of vectors given their labels or other targets: lower is better.

    A subclass is built as ``Objective()``, or ``Objective(dim=..., classes=...)`` if it learns
    class weights.

    Attributes:
        learns_classes: whether it has class weights, so that labels run from 0 to
            ``classes - 1``; otherwise labels only tell which images of a batch show the same thing.
        targets: ``labels`` are whole numbers ``(b,)``, ``values`` floats ``(b,)`` or ``(b, k)``,
            ``multi-hot`` zeros and ones ``(b, k)``, ``soft`` shares ``(b, k)`` that add up to 1.
            Only labels come from a data set; a recipe has or computes the others.
    """

    targets: ClassVar[Targets] = "labels"
    learns_classes: ClassVar[bool] = False
    classes: int = 0

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss.

        Args:
            vectors: ``(b, d)``; only their directions matter.
            labels: ``(b,)`` int64, or what `targets` says.

        Returns:
            A scalar. It is zero, with zero gradient, if the batch has no pairs to learn from.

        Raises:
            LearnError: shapes or labels are wrong.
        """
        self._check(vectors, labels)
        # Half precision is for the network: its cosines are too coarse to be scaled.
        with torch.autocast(vectors.device.type, enabled=False):
            return self.score(vectors.float(), labels)

    @abstractmethod
    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The loss of checked inputs, with `vectors` in single precision."""

    def _check(self, vectors: Tensor, labels: Tensor) -> None:
        if self.targets != "labels":
            self._check_targets(vectors, labels)
            return
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

    def _check_targets(self, vectors: Tensor, targets: Tensor) -> None:
        shaped = targets.ndim == 2 or (self.targets == "values" and targets.ndim == 1)
        if vectors.ndim != 2 or not shaped or len(targets) != len(vectors):
            raise LearnError(
                f"this objective takes vectors (b, d) and {self.targets} targets (b, k), not "
                f"{tuple(vectors.shape)} and {tuple(targets.shape)}"
            )
        if self.targets == "multi-hot":
            fits = bool(((targets == 0) | (targets == 1)).all())
        elif self.targets == "soft":
            sums = targets.float().sum(dim=1)
            fits = bool((targets >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())
        else:
            fits = targets.is_floating_point() and bool(targets.isfinite().all())
        if not fits:
            raise LearnError(
                f"these are no {self.targets} targets: they reach from {targets.min():g} to "
                f"{targets.max():g}, {targets.dtype}; pass " + _TARGETS[self.targets]
            )
