"""Positions in an image of the cells of a feature map."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level


def centres(level: Level, cells: Tensor, side: Tensor | int) -> Tensor:
    """Centres of receptive fields as fractions of an image's side.

    Args:
        level: level of the feature map.
        cells: rows or columns of the feature map, counted from 0, as floats.
        side: length of the feature map in cells along the same direction.

    Returns:
        Fractions in [0, 1], shaped like `cells`.
    """
    return ((cells * level.stride + level.offset) / (side * level.stride)).clamp(0, 1)


def picked_centres(level: Level, places: Tensor, feature_map: Tensor) -> Tensor:
    """Centres of some cells, x and y as fractions of the image.

    Args:
        level: level of the feature map.
        places: ``(b, m)`` int64, numbers of cells, counted row by row.
        feature_map: ``(b, c, h, w)``; only its shape matters.

    Returns:
        ``(b, m, 2)`` float32.
    """
    height, width = feature_map.shape[2:]
    rows = torch.div(places, width, rounding_mode="floor")
    columns = places - rows * width
    x, y = centres(level, columns.float(), width), centres(level, rows.float(), height)
    return torch.stack([x, y], dim=-1)


def measured_offsets(backbone: Backbone) -> list[float]:
    """Measure the centre of the receptive field of each level's first cell, in pixels.

    With equal positive weights everywhere, and averages instead of maxima, the gradient of a cell
    is symmetric about the centre of its receptive field, so that centre is the gradient's centre
    of mass, however the network pads. Global attention adds a constant to the gradient, so its
    minimum is subtracted. Linear layers attend or mix the channels of a cell, and are left out;
    where nothing remains, the network divides the image into patches, whose centres are meant.
    Rows behave like columns, so a strip of an image is enough.

    Args:
        backbone: backbone to measure; a copy is used. Its levels need only their strides.

    Returns:
        The centre for each level, rounded to half a pixel.
    """
    network = copy.deepcopy(backbone).eval().float().cpu()
    _even(network)
    strides = [level.stride for level in backbone.levels]
    height, side = backbone.multiple, 64 * strides[-1]
    if backbone.side:
        height = side = backbone.side
    elif height > strides[-1]:
        side = 3 * height
    # Tiny values keep activations away from saturation.
    image = torch.full((1, 3, height, side), 1e-3, requires_grad=True)
    image_maps = network.maps(image)
    found = []
    for stride, feature_map in zip(strides, image_maps, strict=True):
        cell = feature_map.shape[3] // 2
        (gradient,) = torch.autograd.grad(
            feature_map[0, :, 0, cell].sum(), image, retain_graph=True
        )
        hill = gradient[0].sum(dim=0).double()
        hill = (hill - hill.min()).sum(dim=0)
        pixels = torch.arange(side, dtype=torch.float64) + 0.5
        centre = float((hill * pixels).sum() / hill.sum()) - stride * cell
        found.append(round(centre * 2) / 2 if hill.any() else stride / 2)
    return found


def effective_offsets(backbone: Backbone, images: Tensor, *, probes: int = 8) -> list[float]:
    """Measure the effective centre of each level's first cell, in pixels.

    The architecture sets the size of a receptive field, but most of the influence on a cell comes
    from its middle (Luo et al., Understanding the Effective Receptive Field, 2016), and if a
    network pads unevenly, training moves that middle. This is the centre of mass of the squared
    gradient of random mixtures of a cell's channels, for the cell in the middle of each image.

    Args:
        backbone: trained backbone; a copy is used.
        images: ``(b, 3, h, w)`` in [0, 1], some photos, larger than the receptive fields.
        probes: number of mixtures for each image.

    Returns:
        The centre for each level: the mean over images, mixtures and both directions.
    """
    network = copy.deepcopy(backbone).eval()
    image = images.detach().clone().requires_grad_()
    random = torch.Generator().manual_seed(0)
    found = []
    for level, feature_map in zip(network.levels, network(image), strict=True):
        row, column = feature_map.shape[2] // 2, feature_map.shape[3] // 2
        centre = 0.0
        for _ in range(probes):
            mixture = torch.randn(level.width, generator=random).to(image)
            (gradient,) = torch.autograd.grad(
                (feature_map[:, :, row, column] * mixture).sum(), image, retain_graph=True
            )
            energy = gradient.square().sum(dim=1).double()
            energy = energy / energy.sum(dim=(1, 2), keepdim=True)
            for axis, cell in ((1, column), (2, row)):
                along = energy.sum(dim=axis)
                pixels = torch.arange(along.shape[1], device=along.device) + 0.5
                centre += float((along * pixels).sum(dim=1).mean()) - level.stride * cell
        found.append(centre / probes / 2)
    return found


def _even(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):  # it would take the first of equal values
                average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, average)
            elif isinstance(child, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
                # The first two turn a constant into zero. The gradient of the third, in evaluation
                # mode on a CPU, is wrong in torch 2.13 where tokens follow it (its memory format).
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
