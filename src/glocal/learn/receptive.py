"""Where in an image the cells of a feature map look."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level


def centres(level: Level, cells: Tensor, side: Tensor | int) -> Tensor:
    """Centres of receptive fields as fractions of an image's side.

    Args:
        level: of the map.
        cells: rows or columns of the map, counted from 0, as floats.
        side: of the map, in cells, along the same direction.

    Returns:
        Fractions in [0, 1], shaped like `cells`.
    """
    return ((cells * level.stride + level.offset) / (side * level.stride)).clamp(0, 1)


def picked_centres(level: Level, places: Tensor, feature_map: Tensor) -> Tensor:
    """Centres of some cells, x and y as fractions of the image.

    Args:
        level: of the map.
        places: ``(b, m)`` int64, numbers of cells row by row.
        feature_map: ``(b, c, h, w)``; only its shape counts.

    Returns:
        ``(b, m, 2)`` float32.
    """
    height, width = feature_map.shape[2:]
    rows = torch.div(places, width, rounding_mode="floor")
    columns = places - rows * width
    x, y = centres(level, columns.float(), width), centres(level, rows.float(), height)
    return torch.stack([x, y], dim=-1)


def measured_offsets(backbone: Backbone) -> list[float]:
    """Where the receptive field of each level's first cell is centred, in pixels, by experiment.

    With the same positive weight everywhere, and averages for maxima, a cell's gradient is a hill
    that is symmetric about the centre of its receptive field, so the hill's centre of mass is that
    centre, whatever the network pads. Attention to the whole image raises the hill everywhere
    alike: its least height is taken away. Rows behave as columns do, so a strip will do.

    Args:
        backbone: is copied, not changed; levels need only their strides.

    Returns:
        For each level, to the half pixel.
    """
    network = copy.deepcopy(backbone).eval().float().cpu()
    _even(network)
    strides = [level.stride for level in backbone.levels]
    side = 64 * strides[-1]
    # Tiny values keep activations that saturate away from their ends.
    image = torch.full((1, 3, backbone.multiple, side), 1e-3, requires_grad=True)
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
        found.append(round(centre * 2) / 2)
    return found


def effective_offsets(backbone: Backbone, images: Tensor, *, probes: int = 8) -> list[float]:
    """Where each level's first cell looks in effect, in pixels: trained weights lean to a side.

    A receptive field is as large as a network's plan makes it, but most of what a cell sees lies in
    its middle (Luo et al., Understanding the Effective Receptive Field, 2016), and where a network
    pads unevenly, training has moved that middle. This is the centre of mass of the squared
    gradient of random mixtures of a cell's channels, for the cell in the middle of each image.

    Args:
        backbone: in the state to be measured; evaluated, not changed.
        images: ``(b, 3, h, w)`` in [0, 1], some photos; the wider the field, the larger they
            should be.
        probes: mixtures for each image.

    Returns:
        For each level, the mean over images, mixtures and both directions.
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
            if isinstance(child, nn.MaxPool2d):  # of equal values it would take the first
                average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, average)
            elif isinstance(child, nn.LayerNorm | nn.GroupNorm):  # to them a constant is nothing
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.reset_parameters()
