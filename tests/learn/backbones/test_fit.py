from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.learn.backbones.fit import FitBlock, FitTiny  # noqa: E402


def attended(query, keys, values, heads):
    """One token after another, one head after another."""
    each = query.shape[1] // heads
    found = torch.zeros(len(query), values.shape[1], dtype=query.dtype)
    for number, token in enumerate(query):
        for head in range(heads):
            part = slice(head * each, (head + 1) * each)
            weights = (keys[:, part] @ token[part] / each**0.5).softmax(dim=0)
            found[number, part] = weights @ values[:, part]
    return found


def transformed(layers, x):
    """A local or global layer on tokens ``(n, width)``."""
    attention, perceptron = layers
    norm, made = attention.layer
    query, key, value = made.qkv(norm(x)).chunk(3, dim=1)
    x = x + made.out(attended(query, key, value, made.heads))
    return x + perceptron.layer(x)


def exchanged(layer, y, source):
    key, value = layer.key_value(layer.norm_source(source)).chunk(2, dim=1)
    return y + layer.out(attended(layer.query(layer.norm(y)), key, value, layer.heads))


@torch.no_grad()
def test_a_block_equals_loops_over_groups_and_tokens():
    torch.manual_seed(0)
    block = FitBlock((8, 12), (2, 4), 1, 1).double()
    x = torch.randn(1, 2, 3, 5, 8, dtype=torch.float64)
    latents = torch.randn(1, 2, 3, 2, 12, dtype=torch.float64)
    new_x, new_latents = block(x, latents)

    groups = [transformed(block.local, group) for group in x[0].flatten(0, 1)]
    read = [
        exchanged(block.read, mine, group)
        for mine, group in zip(latents[0].flatten(0, 1), groups, strict=True)
    ]
    together = transformed(block.across, torch.cat(read)).split(2)
    given = [exchanged(block.give, x, z) for x, z in zip(groups, together, strict=True)]
    assert torch.allclose(new_latents[0].flatten(0, 1), torch.stack(together))
    assert torch.allclose(new_x[0].flatten(0, 1), torch.stack(given))


@torch.no_grad()
def test_groups_are_the_squares_of_the_image():
    trunk = FitTiny().eval()
    start, *_, end = trunk.stages
    image = torch.rand(1, 3, 32, 48)
    x, _ = start(image)
    once = start(image[:, :, 16:32, 32:48])[0]
    assert torch.allclose(x[:, 1, 2], once[:, 0, 0], atol=1e-6)
    latents = torch.zeros(1, 2, 3, 2, 64)
    cells = end(x, latents)[0][0, :, 5, 9]  # row 1, column 1 of the group in row 1, column 2
    assert torch.allclose(cells, end.norm(x[0, 1, 2, 5]))


@torch.no_grad()
def test_without_global_layers_groups_know_nothing_of_each_other():
    torch.manual_seed(0)
    block = FitBlock((8, 12), (2, 4), 2, 0)
    x, latents = torch.randn(1, 1, 2, 4, 8), torch.randn(1, 1, 2, 2, 12)
    changed = x.clone()
    changed[:, :, 1] = torch.randn(1, 1, 4, 8)
    assert torch.equal(block(x, latents)[0][:, :, 0], block(changed, latents)[0][:, :, 0])
    both = FitBlock((8, 12), (2, 4), 1, 1)
    assert not torch.allclose(both(x, latents)[0][:, :, 0], both(changed, latents)[0][:, :, 0])
