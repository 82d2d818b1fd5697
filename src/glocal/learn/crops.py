"""Cut boxes out of a batch of images, scaled to squares of one size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cut(image: Tensor, boxes: Tensor, side: int) -> Tensor:
    """One box of each image, by bilinear interpolation.

    Pixels are sampled at the centres of the crop's pixels, each at one point: a box of more than
    twice the side is not smoothed. Gradients reach the pixels and the boxes.

    Args:
        image: ``(b, c, h, w)`` float.
        boxes: ``(b, 4)`` float: left, top, right, bottom as fractions of width and height.
        side: side of the crops, in pixels.

    Returns:
        ``(b, c, side, side)``.
    """
    centres = (torch.arange(side, device=image.device, dtype=boxes.dtype) + 0.5) / side
    left, top, right, bottom = boxes.to(image.device).unbind(dim=1)
    x = left[:, None] + (right - left)[:, None] * centres
    y = top[:, None] + (bottom - top)[:, None] * centres
    grid = torch.stack(
        [x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1
    )
    return functional.grid_sample(
        image, (grid * 2 - 1).to(image.dtype), padding_mode="border", align_corners=False
    )
