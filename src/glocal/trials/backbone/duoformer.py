"""DuoFormer attends over scales, then over patches, above two backbones; training, export."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.duoformer import DuoBlock, DuoFormer
from glocal.learn.cost import count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.data import accuracy
from glocal.trials.exporting import check_indexes
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="tokens after scale-wise and patch-wise attention",
    baseline="one query at a time, each with the keys of its cell, then of its image's cells",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_WIDTH, _HEADS, _STEPS = 8, 2, 80


def method(lab: Lab) -> Tensor:
    """The block; what it does above two different networks."""
    block, tokens = _given()
    if lab.seed == 0:
        lab.check("parameters of the tiny preset", count_parameters(DuoFormer.tiny()), "<", 1e6)
    if lab.seed == 0 and not lab.smoke:
        data = lab.digits(32)
        for name in ("densenet-tiny", "nin"):
            trunk = DuoFormer(weights="none", backbone=name, width=32, depth=2, heads=2)
            model = Classifier(trunk, data.classes)
            fit(model, data.train, steps=_STEPS, seed=0, batch=32, lr=1e-3)
            found = accuracy(predicted(model, data.validation.images), data.validation.labels)
            lab.check(f"above {name}: accuracy on digits after {_STEPS} steps, per cent", found,
                      ">", 50)  # fmt: skip
        check_indexes(lab, DuoFormer.tiny().eval())
    found_tokens: Tensor = block(tokens)
    return found_tokens


@torch.no_grad()
def baseline(lab: Lab) -> Tensor:
    """Loop over images, cells, tokens and heads."""
    del lab
    block, tokens = _given()
    tokens = tokens.clone()
    for image in range(len(tokens)):
        for cell in range(tokens.shape[1]):
            tokens[image, cell] += _attended(block.scales, tokens[image, cell])
        tokens[image, :, 0] += _attended(block.patches, tokens[image, :, 0])
    return tokens + block.mlp(tokens)


def _attended(attention: torch.nn.Module, x: Tensor) -> Tensor:
    q, k, v = attention.qkv(attention.norm(x)).chunk(3, dim=1)
    mixed = torch.zeros_like(x)
    size = _WIDTH // _HEADS
    for head in range(_HEADS):
        mine = slice(head * size, (head + 1) * size)
        for token in range(len(x)):
            weights = torch.stack([q[token, mine] @ key[mine] / size**0.5 for key in k]).exp()
            mixed[token, mine] = (weights[:, None] * v[:, mine]).sum(dim=0) / weights.sum()
    found: Tensor = attention.project(mixed)
    return found


def _given() -> tuple[DuoBlock, Tensor]:
    block = DuoBlock(_WIDTH, _HEADS).double().requires_grad_(False)
    return block, torch.randn(2, 3, 6, _WIDTH, dtype=torch.float64)
