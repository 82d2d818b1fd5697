"""TiC's weights do the same in images of any size: what a cell sees decides its features alone.

Equal features are claimed, and not accuracy at another scale. Trained for 80 steps on digits of 32
pixels, the network told none of them apart when they were enlarged to 64 (10 % right and less, on
validation images of two seeds); nor did the same network with attention to all cells and resampled
positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.tic import MsaConv, TicTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use

CLAIM = Claim(
    measured="cells in the middle of the first map of an image of 416x384 pixels",
    baseline="the same cells, for a part of the image of 352x320 pixels",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_CUT = 32
# Cells that see beyond the part: 3 pixels of the stem, 4 of the convolution between the stages,
# and in both of these 1 + 8 cells, for windows of 3 and of 9 that are shifted by 4.
_STRIDE, _REACH = 8, -(-(3 + 9 * 4 + 4 + 9 * 8) // 8)


def method(lab: Lab) -> Tensor:
    """The whole image; a loop, what positions would change, other sizes, and use."""
    trunk, image = _given()
    found = _middle(trunk, image, _CUT // _STRIDE)
    if lab.seed == 0 and not lab.smoke:
        layer = MsaConv(8, 4, dilation=3, shift=4, pooled=True).double().requires_grad_(False)
        x = torch.randn(1, 8, 5, 7, dtype=torch.float64)
        apart = float((layer(x) - _looped(layer, x)).abs().max())
        lab.check("deviation of MSA-Conv from a loop over the cells", apart, "<", 1e-9)
        _add_positions(trunk)
        whole, part = _middle(trunk, image, _CUT // _STRIDE), _middle(trunk, _part(image), 0)
        change = float((whole - part).abs().max() / part.square().mean().sqrt())
        lab.check("largest difference with resampled positions, in parts", change, ">", 1e-3)
        tiny = TicTiny().eval().requires_grad_(False)
        for height, width in ((32, 32), (64, 160), (224, 96)):
            cells = int(tiny(torch.rand(1, 3, height, width))[-1][0, 0].isfinite().sum())
            what = f"finite cells of the last map for an image of {width}x{height} pixels"
            lab.check(what, cells, "=", height * width // 1024)
        check_use(lab, TicTiny)
    return found


def baseline(lab: Lab) -> Tensor:
    """A part of the image."""
    del lab
    trunk, image = _given()
    return _middle(trunk, _part(image), 0)


def _given() -> tuple[TicTiny, Tensor]:
    trunk = TicTiny().double().eval().requires_grad_(False)
    return trunk, torch.rand(1, 3, 384, 416, dtype=torch.float64)


def _part(image: Tensor) -> Tensor:
    return image[:, :, _CUT:-_CUT, _CUT:-_CUT]


def _middle(trunk: TicTiny, image: Tensor, beyond: int) -> Tensor:
    """Cells of the first map that are at least so many and the reach away from its border."""
    edge = _REACH + beyond
    found: Tensor = trunk(image)[0][:, :, edge:-edge, edge:-edge]
    return found


class _Positions(nn.Module):
    """A number for each cell and channel of the first stage, resampled to the size of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.learned = torch.randn(1, width, 8, 8, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return x + functional.interpolate(self.learned, list(x.shape[2:]), mode="bicubic")


def _add_positions(trunk: TicTiny) -> None:
    first = trunk.get_submodule("stages.0.0")
    assert isinstance(first, nn.Sequential)  # noqa: S101 - `Pyramid` makes it
    blocks = next(n for n, layer in enumerate(first) if isinstance(layer, nn.Sequential))
    first.insert(blocks, _Positions(trunk.widths[0]))


def _looped(layer: MsaConv, x: Tensor) -> Tensor:
    """One cell of one head at a time, with windows of 9 means of 9 cells, 4 cells away."""
    height, width = x.shape[2:]
    query, *both = layer.project(x)[0].unflatten(0, (3, layer.heads, -1))
    found = torch.zeros_like(query)
    for head, (down, across) in enumerate(((-4, 0), (4, 0), (0, -4), (0, 4))):
        padded = [functional.pad(tensor[head], (1, 1, 1, 1)) for tensor in both]
        for row in range(height):
            for column in range(width):
                one = query[head, :, row, column]
                window = torch.zeros(2, 9, len(one), dtype=x.dtype)
                for number in range(9):
                    y, z = row + 3 * (number // 3 - 1), column + 3 * (number % 3 - 1)
                    if 0 <= y < height and 0 <= z < width:
                        y, z = (y + down) % height, (z + across) % width
                        for part, tensor in enumerate(padded):
                            square = tensor[:, y : y + 3, z : z + 3]
                            window[part, number] = square.mean(dim=(1, 2))
                weights = (window[0] @ one / len(one) ** 0.5).softmax(dim=0)
                found[head, :, row, column] = weights @ window[1]
    joined: Tensor = layer.join(found.flatten(0, 1)[None])
    return joined
