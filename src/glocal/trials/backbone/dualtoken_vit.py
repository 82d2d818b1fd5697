"""Every block fuses local features with global tokens, which know places and pass all stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.backbones.dualtoken_vit import DualTokenBlock, DualTokenViTTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use

CLAIM = Claim(
    measured="fused cells of a block",
    baseline="local features, and the mixture of global tokens of each cell, head by head, added",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The fusion; that tokens know places and persist; training, export and search."""
    block, x, given = _given()
    if lab.seed == 0:
        order = torch.tensor([1, 0, 2, 3, 4, 5, 6, 7, 8])
        _, after = block.fuse(x, given)
        _, moved = block.fuse(x, given[:, order])
        change = float((moved[:, order.argsort()] - after).abs().max() / after.abs().max())
        lab.check("change of global tokens that have changed places", change, ">", 0.01)
        reached = _reached()
        lab.check("stages that pass on the global tokens they get", reached, "=", 3)
        check_use(lab, DualTokenViTTiny)
    return block.fuse(x, given)[0]


def baseline(lab: Lab) -> Tensor:
    """Loops over heads and cells."""
    del lab
    block, x, given = _given()
    local = block.local(x)
    source = torch.cat([given, block.smaller(local).flatten(2).transpose(1, 2)], dim=1)
    given = given + _looped(block.gather, block.norm_tokens(given), block.norm_both(source))
    given = block.place(given.transpose(1, 2).reshape(1, 8, 3, 3)).reshape(1, 8, 9).transpose(1, 2)
    cells = block.norm_cells(local.flatten(2).transpose(1, 2))
    shared = _looped(block.give, cells, given)
    return local + shared.transpose(1, 2).reshape(local.shape)


def _looped(layers: nn.ModuleDict, query: Tensor, source: Tensor) -> Tensor:
    queries, keys, values = (
        layers[name](given)[0]
        for name, given in (("query", query), ("key", source), ("value", source))
    )
    found = torch.empty_like(queries)
    for head in (slice(0, 4), slice(4, 8)):
        for cell, one in enumerate(queries[:, head]):
            found[cell, head] = (keys[:, head] @ one / 2).softmax(dim=0) @ values[:, head]
    result: Tensor = layers["out"](found)[None]
    return result


def _given() -> tuple[DualTokenBlock, Tensor, Tensor]:
    block = DualTokenBlock(8, heads=2, steps=1, side=3).double().requires_grad_(False)
    tokens = torch.randn(1, 9, 8, dtype=torch.float64)
    return block, torch.randn(1, 8, 6, 4, dtype=torch.float64), tokens


def _reached() -> int:
    """Stages whose map depends on the tokens that the first stage begins with."""
    trunk = DualTokenViTTiny().eval()
    start = next(p for name, p in trunk.named_parameters() if name.endswith(".first"))
    maps = trunk(torch.rand(1, 3, 64, 64))
    gradients = [torch.autograd.grad(m.square().sum(), start, retain_graph=True)[0] for m in maps]
    return sum(bool(gradient.any()) for gradient in gradients)
