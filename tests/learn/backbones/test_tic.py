from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.learn.backbones.tic import MsaConv  # noqa: E402

DIRECTIONS = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}


def averaged(split, side):
    """Each cell's mean over the square around it, zeros beyond the map."""
    height, width = split.shape[-2:]
    found = torch.zeros_like(split)
    for row in range(height):
        for column in range(width):
            top, left = max(0, row - side // 2), max(0, column - side // 2)
            square = split[..., top : row + side // 2 + 1, left : column + side // 2 + 1]
            found[..., row, column] = square.sum(dim=(-1, -2)) / side**2
    return found


def looped(layer, x):
    """One cell of one head at a time; a window that is shifted wraps around, others see zeros."""
    height, width = x.shape[2:]
    query, *both = layer.project(x)[0].unflatten(0, (3, layer.heads, -1))
    both = torch.stack(both)
    if layer.pooled:
        both = averaged(both, layer.dilation)
    half, gap = layer.kernel // 2, layer.dilation
    found = torch.zeros_like(query)
    for head in range(layer.heads):
        down, across = DIRECTIONS[head * 4 // layer.heads] if layer.shift else (0, 0)
        for row in range(height):
            for column in range(width):
                window = torch.zeros(layer.kernel**2, 2, query.shape[1], dtype=x.dtype)
                for number in range(layer.kernel**2):
                    y = row + gap * (number // layer.kernel - half)
                    z = column + gap * (number % layer.kernel - half)
                    if 0 <= y < height and 0 <= z < width:
                        y, z = y + down * layer.shift, z + across * layer.shift
                        window[number] = both[:, head, :, y % height, z % width]
                one = query[head, :, row, column]
                weights = (window[:, 0] @ one / len(one) ** 0.5).softmax(dim=0)
                found[head, :, row, column] = weights @ window[:, 1]
    return layer.join(found.flatten(0, 1)[None])


@torch.no_grad()
@pytest.mark.parametrize(
    ("heads", "options"),
    [
        (2, {}),
        (8, {}),  # depthwise
        (2, {"kernel": 5}),
        (2, {"dilation": 2}),
        (4, {"shift": 2}),
        (4, {"dilation": 3, "shift": 4, "pooled": True}),
    ],
)
def test_the_layer_equals_a_loop_over_cells(heads, options):
    torch.manual_seed(0)
    layer = MsaConv(8, heads, **options).double()
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    assert torch.allclose(layer(x), looped(layer, x))


@torch.no_grad()
def test_an_even_query_makes_a_convolution():
    """With equal scores, each head averages its window: a convolution with equal weights."""
    layer = MsaConv(4, 2)
    layer.project.weight[:4] = 0
    layer.project.bias[:4] = 0
    x = torch.randn(2, 4, 7, 5)
    values = layer.project(x)[:, 8:]
    mean = torch.nn.functional.avg_pool2d(values, 3, 1, 1)
    assert torch.allclose(layer(x), layer.join(mean), atol=1e-6)


def test_pooling_fills_the_gaps_and_shifts_reach_farther():
    plain = MsaConv(8, 4)
    pooled = MsaConv(8, 4, dilation=3, pooled=True)
    shifted = MsaConv(8, 4, dilation=3, pooled=True, shift=4)
    assert [span(layer) for layer in (plain, pooled, shifted)] == [3, 9, 17]


def span(layer):
    x = torch.randn(1, 8, 31, 31, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer.double()(x)[0, :, 15, 15].square().sum(), x)
    rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
    return int(rows.max() - rows.min()) + 1
