"""The loss of local features: pairs of cells that show the same point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from views import OUTSIDE

_TEMPERATURE = 0.06
_STRANGERS = 512


@dataclass(frozen=True, slots=True)
class Dense:
    """Local features of views: see `glocal.learn.local_head.LocalHead.dense`."""

    descriptors: Tensor
    logits: Tensor
    moved: Tensor
    points: Tensor  # what each pixel shows, (b, H, W, k), or OUTSIDE

    def rows(self) -> Tensor:
        return self.descriptors.flatten(2).transpose(1, 2)


def local_loss(one: Dense, two: Dense, offset: float) -> tuple[Tensor, dict[str, float]]:
    """The loss of two views of each of ``b`` things.

    Cells are pairs when each is the nearest to the other, in the image or in the scene, and not
    farther than the cells' own size. A pair's descriptors have to find each other among all cells
    of both views and some of other things; scores learn which do; keypoints of those that do have
    to come to lie on one point.

    Args:
        one: first views.
        two: second views.
        offset: centre of the first cell, in pixels.

    Returns:
        The loss, and figures to print.
    """
    stride = one.points.shape[1] // one.logits.shape[1]
    first, size_one, seen_one = _cells(one.points, stride, offset)
    second, size_two, seen_two = _cells(two.points, stride, offset)
    apart = torch.cdist(first, second)
    apart = apart.masked_fill(~(seen_one[:, :, None] & seen_two[:, None, :]), 1e6)
    least, there = apart.min(dim=2)
    back = apart.argmin(dim=1)
    itself = torch.arange(apart.shape[1], device=apart.device)
    reach = torch.maximum(size_one, size_two.gather(1, there))
    paired = (back.gather(1, there) == itself) & (least < 0.8 * reach)
    near = apart < 1.5 * reach[:, :, None]
    likeness = one.rows() @ two.rows().transpose(1, 2) / _TEMPERATURE
    exact = torch.zeros_like(near).scatter_(2, there[:, :, None], True)
    likeness = likeness.masked_fill(near & ~exact, -1e4)
    strange = _strangers(two)
    beside = one.rows() @ strange.transpose(1, 2) / _TEMPERATURE
    rows = torch.cat([likeness, beside], dim=2)
    cost = rows.logsumexp(dim=2) - likeness.gather(2, there[:, :, None])[..., 0]
    backwards = likeness.logsumexp(dim=1).gather(1, there)
    cost = cost + backwards - likeness.gather(2, there[:, :, None])[..., 0]
    weight = paired.float()
    total = weight.sum().clamp(min=1)
    matching = (cost * weight).sum() / total
    right = (rows.argmax(dim=2) == there) & (likeness.argmax(dim=1).gather(1, there) == itself)
    scores = one.logits.flatten(1), two.logits.flatten(1).gather(1, there)
    sure = sum(
        functional.binary_cross_entropy_with_logits(s, right.float(), reduction="none")
        for s in scores
    )
    scoring = (sure * weight).sum() / total
    exactly = (paired & right).float()
    spot_one = _moved(one, stride, offset)
    spot_two = _moved(two, stride, offset)
    spot_two = spot_two.gather(1, there[:, :, None].expand(-1, -1, spot_two.shape[2]))
    error = (spot_one - spot_two).norm(dim=2) / reach.clamp(min=1e-6)
    placing = (error.clamp(max=2) * exactly).sum() / exactly.sum().clamp(min=1)
    figures = {
        "pairs": float(total) / len(first),
        "right": float(exactly.sum() / total),
        "error": float(placing.detach()),
    }
    return matching + scoring + placing, figures


def _cells(points: Tensor, stride: int, offset: float) -> tuple[Tensor, Tensor, Tensor]:
    """What the centres of cells show, how large a cell is there, and whether it shows anything."""
    middle = points[:, int(offset) :: stride, int(offset) :: stride]
    across = (middle[:, :, 1:] - middle[:, :, :-1]).norm(dim=-1)
    across = torch.cat([across, across[:, :, -1:]], dim=2)
    down = (middle[:, 1:] - middle[:, :-1]).norm(dim=-1)
    down = torch.cat([down, down[:, -1:]], dim=1)
    seen = (middle != OUTSIDE).any(dim=-1)
    size = torch.minimum(across, down)
    seen = seen & (size < 1.5 * size.flatten(1).median(dim=1).values[:, None, None] + 1e-3)
    return middle.flatten(1, 2).float(), size.flatten(1), seen.flatten(1)


def _strangers(dense: Dense) -> Tensor:
    """Descriptors of cells of other things, for each thing: ``(b, m, e)``."""
    rows = dense.rows()
    others = rows.roll(1, 0)
    chosen = torch.randint(rows.shape[1], (_STRANGERS,), device=rows.device)
    return others[:, chosen]


def _moved(dense: Dense, stride: int, offset: float) -> Tensor:
    """What the keypoints show, ``(b, cells, k)``, differentiable in how far they are moved."""
    height, width = dense.logits.shape[1:]
    device = dense.logits.device
    rows = (torch.arange(height, device=device) * stride + offset)[:, None].expand(height, width)
    columns = (torch.arange(width, device=device) * stride + offset)[None].expand(height, width)
    x = columns + dense.moved[:, 0] * stride
    y = rows + dense.moved[:, 1] * stride
    grid = torch.stack([x / (width * stride) * 2 - 1, y / (height * stride) * 2 - 1], dim=-1)
    points = dense.points.permute(0, 3, 1, 2).float()
    found = functional.grid_sample(points, grid, padding_mode="border", align_corners=False)
    return found.flatten(2).transpose(1, 2)
