"""A complete model for training and export: a backbone, a head, and local features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.cells import Cells
from glocal.learn.contracts import Backbone, Head, Objective, Output, TwoPassHead
from glocal.learn.crops import cut
from glocal.learn.heads.attentive import Attentive
from glocal.learn.heads.pooled import Pooled
from glocal.registry import part


class Model(nn.Module):
    """Images to vectors and local features.

    Args:
        backbone: computes the feature maps.
        head: computes the vector from them, and optionally local features.
        cells: local features for heads without; they cost nothing until they are used.
    """

    def __init__(self, backbone: Backbone, head: Head, cells: Cells) -> None:
        super().__init__()
        self.backbone, self.head, self.cells = backbone, head, cells

    @property
    def dim(self) -> int:
        """Length of the vector."""
        return self.head.dim

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Output:
        """The head's output for images ``(b, 3, h, w)``, float in [0, 1].

        Raises:
            LearnError: there is a condition, but the head takes none.
        """
        return self.output(image, self.backbone(image), condition)

    def output(
        self, image: Tensor, maps: Sequence[Tensor], condition: Tensor | None = None
    ) -> Output:
        """Like `forward`, from images and their feature maps, which are already computed."""
        return encode(self.backbone, self.head, image, maps, condition)

    def recentre(self, offsets: Sequence[float]) -> None:
        """Place keypoints at other centres of the cells than those of the receptive fields.

        Args:
            offsets: centre of the first cell for each level of the backbone, in pixels, such as
                `glocal.learn.receptive.effective_offsets` measures.
        """
        levels = {
            level.stride: replace(level, offset=offset)
            for level, offset in zip(self.backbone.levels, offsets, strict=True)
        }
        for module in self.modules():
            if isinstance(module, Attentive | Cells):
                module.level = levels[module.level.stride]

    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute everything that an encoder returns, for a batch.

        Args:
            image: ``(b, 3, h, w)`` float in [0, 1].

        Returns:
            Vectors ``(b, d)``, keypoints ``(b, m, 2)``, descriptors ``(b, m, e)`` and scores
            ``(b, m)``, as in `glocal.encoders.features.Features`.
        """
        return self.features_of(image, self.backbone(image))

    def features_of(
        self, image: Tensor, maps: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Like `features`, from images and their feature maps, which are already computed."""
        output = self.output(image, maps)
        local = self.cells(maps) if output.local is None else output.local
        return output.vector, local.keypoints, local.descriptors, local.scores


def encode(
    backbone: Backbone,
    head: Head,
    image: Tensor,
    maps: Sequence[Tensor],
    condition: Tensor | None = None,
) -> Output:
    """The output of a head, with the second pass over crops if it has one.

    Args:
        backbone: computes the feature maps of crops.
        head: the head.
        image: ``(b, 3, h, w)`` float in [0, 1].
        maps: the backbone's feature maps of these images.
        condition: what the head is conditioned on.

    Raises:
        LearnError: there is a condition, but the head takes none.
    """
    if condition is not None and not head.conditioned:
        raise LearnError(
            f"the head {type(head).__name__} takes no condition; use one that does, or encode "
            "without"
        )
    output: Output = head(maps) if condition is None else head(maps, condition)
    if isinstance(head, TwoPassHead):
        output = head.fuse(output, backbone(cut(image, head.boxes(output), head.crop_side)))
    return output


class EncoderGraph(nn.Module):
    """A model with the inputs and outputs of glocal's ONNX files.

    The input is an image as it is decoded: ``image`` uint8 ``(1, H, W, 3)`` RGB. The outputs are
    ``vector`` ``(d,)``, ``keypoints`` ``(m, 2)``, ``descriptors`` ``(m, e)`` and ``scores``
    ``(m,)``, all float32, in the order of `OUTPUTS`. Where the head can tell what each cell of the
    feature map adds to the vector, ``contributions`` ``(h, w, d)`` follow, whose sum is the vector.
    """

    INPUT = "image"
    OUTPUTS = ("vector", "keypoints", "descriptors", "scores")
    CONTRIBUTIONS = "contributions"

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        head = self.model.head
        whole = isinstance(head, Pooled) and head.additive
        return (*self.OUTPUTS, self.CONTRIBUTIONS) if whole else self.OUTPUTS

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode one image."""
        pixels = image.permute(0, 3, 1, 2).to(torch.float32) / 255
        maps = self.model.backbone(pixels)
        found = tuple(part[0] for part in self.model.features_of(pixels, maps))
        head = self.model.head
        if isinstance(head, Pooled) and head.additive:
            found = (*found, head.contributions(maps)[0])
        return found


def build_model(
    *,
    backbone: str,
    head: str,
    dim: int | None = None,
    classes: int = 0,
    weights: str = "imagenet",
    head_options: dict[str, Any] | None = None,
    local_dim: int = 48,
    local_count: int = 128,
) -> Model:
    """Build a model from the names of its parts.

    Args:
        backbone: a registered name, or ``timm:`` and the name of a timm model.
        head: a registered name.
        dim: length of the vector; None for the head's default.
        classes: number of labels, for heads that learn classes; 0 for none.
        weights: weights of the backbone; see its class.
        head_options: further arguments of the head's class.
        local_dim: length of local descriptors, for heads without local features.
        local_count: number of such local features.

    Raises:
        LearnError: a name is unknown, or the head has no such option.
        ModelError: the weights cannot be read.
        MissingExtraError: a part needs a package that is not installed.
    """
    trunk = _build_backbone(backbone, weights)
    options = dict(head_options or {})
    if dim is not None:
        options["dim"] = dim
    made = part("head", head).load()
    if made.learns_classes:
        options["classes"] = classes
    try:
        top: Head = made(trunk.levels, **options)
    except TypeError as error:
        raise LearnError(
            f"the head {head} cannot be built with {options}: {error}; check its options"
        ) from error
    return Model(trunk, top, Cells(trunk.levels, dim=local_dim, count=local_count))


def build_objective(name: str, *, dim: int, classes: int, **options: Any) -> Objective:
    """Build an objective.

    Args:
        name: a registered one.
        dim: length of the vectors.
        classes: number of labels; ignored by objectives that only compare images.
        options: further arguments of its class.

    Raises:
        LearnError: the objective has no such option.
        MissingExtraError: it needs a package that is not installed.
    """
    made = part("objective", name).load()
    if made.learns_classes:
        options = {"dim": dim, "classes": classes, **options}
    try:
        objective: Objective = made(**options)
    except TypeError as error:
        raise LearnError(
            f"the objective {name} cannot be built with {options}: {error}; check its options"
        ) from error
    return objective


def _build_backbone(name: str, weights: str) -> Backbone:
    family, _, model = name.partition(":")
    made = part("backbone", family).load()
    if (family == "timm") != bool(model):
        raise LearnError(
            f"{name}: only timm takes the name of a model after a colon; write timm:resnet50"
        )
    backbone: Backbone = made(model, weights=weights) if model else made(weights=weights)
    return backbone
