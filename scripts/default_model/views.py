"""Random views of many images at once, made on the device that trains.

A view is another framing of an image (nearer, farther, turned, from aside, through a wide lens) in
other light, and perhaps blurred, shrunk, recoded, covered in part or laid on another image. What
each of its pixels shows is known, so that points of two views of one image can be paired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

OUTSIDE = 9.0
"""Coordinate of pixels that do not come from the image."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How much a view differs from its image; see `make_views`."""

    nearest: float  # side of the smallest part that is shown, as a share of the image's side
    farther: float  # share of views in which the image is small and lies on another one
    turn: float  # standard deviation of the rotation, in radians
    any_turn: float  # share of views with any rotation up to a right angle
    tilt: float  # strength of the perspective
    lens: float  # strength of radial distortion
    light: float  # strength of the changes of light and colour
    damage: float  # share of views that are shrunk, recoded, blurred or covered, each


MILD = Strength(0.75, 0.0, 0.04, 0.0, 0.08, 0.05, 0.4, 0.1)
STRONG = Strength(0.38, 0.25, 0.12, 0.08, 0.28, 0.3, 1.0, 0.4)


def uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) * (high - low) + low


def chosen(count: int, share: float, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) < share


def make_views(images: Tensor, aspects: Tensor, side: int, how: Strength) -> tuple[Tensor, Tensor]:
    """Make one view of each image.

    Args:
        images: ``(n, 3, s, s)`` float in [0, 1], squashed to squares.
        aspects: ``(n,)`` width by height before they were squashed.
        side: side of the views, in pixels, a multiple of 16.
        how: how much they differ.

    Returns:
        Views ``(n, 3, side, side)`` float in [0, 1], and for each pixel the coordinates in the
        image, ``(n, side, side, 2)``, from -1 to 1 for a square and true to its proportions;
        `OUTSIDE` for pixels of something else.
    """
    count, device = len(images), images.device
    zoom = torch.exp(uniform(count, math.log(how.nearest), 0.05, device))
    far = chosen(count, how.farther, device)
    zoom = torch.where(far, uniform(count, 1.15, 2.4, device), zoom)
    stretch = torch.exp(torch.randn(count, device=device) * 0.12 * how.light)
    turn = torch.randn(count, device=device) * how.turn
    wild = chosen(count, how.any_turn, device)
    turn = torch.where(wild, uniform(count, -math.pi / 2, math.pi / 2, device), turn)
    extent = torch.stack([aspects.sqrt(), aspects.rsqrt()], dim=1)
    half = torch.stack([zoom * stretch, zoom / stretch], dim=1)
    # The part that is shown stays inside the image; an image that is small stays inside the view.
    room = (extent - half).abs()
    centre = (torch.rand(count, 2, device=device) * 2 - 1) * room
    grid = _distorted(side, count, how, device) * half[:, None, None, :]
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    x, y = grid[..., 0], grid[..., 1]
    spot = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1) + centre[:, None, None, :]
    source = spot / extent[:, None, None, :]
    views = _sampled(images, source, zoom)
    inside = (source.abs() <= 1).all(dim=-1)
    ground = images.roll(1, 0)
    ground = functional.interpolate(ground, (side, side), mode="bilinear", align_corners=False)
    lies_on = far[:, None, None, None]
    views = torch.where(lies_on & ~inside[:, None], ground, views)
    views, hidden = _damaged(_lit(views, how), how)
    shown = (inside & ~hidden)[..., None]
    return views, torch.where(shown, spot, torch.full_like(spot, OUTSIDE))


def _distorted(side: int, count: int, how: Strength, device: torch.device) -> Tensor:
    """Positions ``(n, side, side, 2)`` before zoom: from -1 to 1, bent by tilt and lens."""
    line = (torch.arange(side, device=device) + 0.5) / side * 2 - 1
    plane = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)[None]
    lens = uniform(count, -how.lens, how.lens, device)[:, None, None, None]
    bent = plane * (1 + lens * (plane * plane).sum(dim=-1, keepdim=True)) / (1 + lens)
    tilt = (torch.rand(count, 1, 1, 2, device=device) * 2 - 1) * how.tilt
    return bent / (1 + (bent * tilt).sum(dim=-1, keepdim=True)).clamp(min=0.3)


def _sampled(images: Tensor, source: Tensor, zoom: Tensor) -> Tensor:
    """Sample images at coordinates, from a smaller copy where they are shown small."""
    fine = functional.grid_sample(images, source, padding_mode="reflection", align_corners=False)
    if not bool((zoom > 1.1).any()):
        return fine
    small = functional.avg_pool2d(images, 2)
    coarse = functional.grid_sample(small, source, padding_mode="reflection", align_corners=False)
    return torch.where((zoom > 1.1)[:, None, None, None], coarse, fine)


def _lit(views: Tensor, how: Strength) -> Tensor:
    """Change exposure, contrast, colours, and how evenly the light falls."""
    count, device, force = len(views), views.device, how.light

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, device=device) * force

    grey = (views * views.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1, True)
    colourful = (1 + 0.35 * normal(1, 1, 1)).clamp(0, 2)
    colourful = colourful * ~chosen(count, 0.1 * force, device)[:, None, None, None]
    views = grey + (views - grey) * colourful
    views = views * torch.exp(0.1 * normal(3, 1, 1))
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    views = (views - mean) * torch.exp(0.2 * normal(1, 1, 1)) + mean
    views = views * torch.exp(0.25 * normal(1, 1, 1))
    views = views.clamp(1e-4, 1).pow(torch.exp(0.25 * normal(1, 1, 1)))
    side = views.shape[-1]
    line = torch.linspace(-1, 1, side, device=device)
    slope = 0.25 * normal(2)
    shade = slope[:, 0, None, None] * line[None, None, :] + slope[:, 1, None, None] * line[:, None]
    dark = (0.3 * normal(1, 1)).clamp(max=0) * (line[:, None] ** 2 + line[None, :] ** 2) / 2
    return (views * torch.exp(shade + dark)[:, None]).clamp(0, 1)


def _damaged(views: Tensor, how: Strength) -> tuple[Tensor, Tensor]:
    """Cover, shrink, blur, recode and add noise; and which pixels are covered."""
    count, device, side = len(views), views.device, views.shape[-1]
    hidden = torch.zeros(count, side, side, dtype=torch.bool, device=device)
    line = torch.arange(side, device=device)
    for turn in range(2):
        covered = chosen(count, how.damage / 2, device)
        low = uniform(count, 0, 0.9 * side, device), uniform(count, 0, 0.9 * side, device)
        wide = uniform(count, 0.05 * side, 0.45 * side, device)
        tall = uniform(count, 0.05 * side, 0.45 * side, device)
        across = (line >= low[0][:, None]) & (line < (low[0] + wide)[:, None])
        down = (line >= low[1][:, None]) & (line < (low[1] + tall)[:, None])
        mask = down[:, :, None] & across[:, None, :] & covered[:, None, None]
        plain = torch.rand(count, 3, 1, 1, device=device).expand_as(views)
        cover = views.roll(turn + 2, 0) if turn else plain
        views = torch.where(mask[:, None], cover, views)
        hidden |= mask
    views = _written(views, chosen(count, how.damage / 3, device))
    views = _shrunk(views, how.damage)
    views = _smeared(views, chosen(count, how.damage / 2, device))
    noise = uniform(count, 0, 0.06, device) * chosen(count, how.damage, device)
    views = views + torch.randn_like(views) * noise[:, None, None, None]
    recoded = chosen(count, how.damage, device)
    if bool(recoded.any()):
        views = torch.where(recoded[:, None, None, None], _recoded(views), views)
    return views.clamp(0, 1), hidden


def _written(views: Tensor, which: Tensor) -> Tensor:
    """Rows of small bars of one colour, like a caption."""
    count, device, side = len(views), views.device, views.shape[-1]
    bars = (torch.rand(count, 1, side // 8, side // 4, device=device) < 0.6).float()
    bars[:, :, ::2] = 0
    bars = functional.interpolate(bars, (side, side), mode="nearest")
    line = torch.linspace(0, 1, side, device=device)
    start = uniform(count, 0, 0.9, device)
    rows = (line >= start[:, None]) & (line < (start + uniform(count, 0.06, 0.3, device))[:, None])
    mask = (bars > 0.5) & rows[:, None, :, None] & which[:, None, None, None]
    return torch.where(mask, torch.rand(count, 3, 1, 1, device=device).round(), views)


def _shrunk(views: Tensor, share: float) -> Tensor:
    """Shrink a part of the batch to few pixels and enlarge it again, each quarter by a factor."""
    side, parts = views.shape[-1], []
    for part in views.chunk(8):
        if torch.rand(()) >= share:
            parts.append(part)
            continue
        few = max(48, int(side / math.exp(float(torch.rand(())) * math.log(3.5))))
        small = functional.interpolate(part, (few, few), mode="bilinear", antialias=True)
        parts.append(functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 1))
    return torch.cat(parts)


def _smeared(views: Tensor, which: Tensor) -> Tensor:
    """Move while the shutter is open."""
    across, down = (int(v) for v in torch.randint(-2, 3, (2,)))
    moved = torch.stack([views.roll((step * down, step * across), (2, 3)) for step in range(4)])
    return torch.where(which[:, None, None, None], moved.mean(dim=0), views)


def _recoded(views: Tensor) -> Tensor:
    """Quantise 8x8 blocks as JPEG does, with a quality for each view."""
    count, _, side, _ = views.shape
    device = views.device
    turn = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos((2 * turn[None, :] + 1) * turn[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    mix = views.new_tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
    back = torch.linalg.inv(mix)
    planes = torch.einsum("ij,njhw->nihw", mix, views) * 255
    blocks = planes.reshape(count, 3, side // 8, 8, side // 8, 8).permute(0, 1, 2, 4, 3, 5)
    coefficients = basis @ blocks @ basis.T
    # Like the standard's tables: coarser for fine detail, and for colour.
    table = 8 + 6 * (turn[:, None] + turn[None, :])
    tables = torch.stack([table, 1.6 * table, 1.6 * table])[None, :, None, None]
    coarse = torch.exp(uniform(count, math.log(0.3), math.log(5.0), device))
    steps = tables * coarse[:, None, None, None, None, None]
    blocks = basis.T @ ((coefficients / steps).round() * steps) @ basis
    planes = blocks.permute(0, 1, 2, 4, 3, 5).reshape(count, 3, side, side) / 255
    return torch.einsum("ij,njhw->nihw", back, planes)
