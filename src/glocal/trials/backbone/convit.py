"""ConViT's attention can begin as a convolution, and its gates; sizes, training, export."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.timm_families import ConVit
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family
from glocal.trials.zoo import Classifier, fit

CLAIM = Claim(
    measured="gated positional attention as it begins, with locality 100 and the gates shut",
    baseline="a 3x3 convolution whose cells are the heads' projections",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_SIDE, _HEADS, _WIDTH = 6, 9, 18


def method(lab: Lab) -> Tensor:
    """Attention within the border; the gates of the tiny preset before and after training."""
    attention, x = _given()
    check_family(lab, ConVit)
    if lab.seed == 0:
        _check_displacements(lab)
        _check_gates(lab)
    found = attention(x.flatten(2).transpose(1, 2)).transpose(1, 2)
    inside: Tensor = found.unflatten(2, (_SIDE, _SIDE))[:, :, 1:-1, 1:-1]
    return inside


def baseline(lab: Lab) -> Tensor:
    """Cell ``(row, column)`` of the kernel is the part of the projection that its head feeds."""
    del lab
    attention, x = _given()
    parts = attention.proj.weight.unflatten(1, (_HEADS, -1))  # (out, head, channels of a head)
    kernel = torch.zeros(_WIDTH, _WIDTH, 3, 3, dtype=x.dtype)
    for head in range(_HEADS):
        mine = slice(head * _WIDTH // _HEADS, (head + 1) * _WIDTH // _HEADS)
        kernel[:, mine, head % 3, head // 3] = parts[:, head]
    # Values are the input itself at the start.
    return functional.conv2d(x, kernel, attention.proj.bias)


def _given(*, locality: float = 100.0, gate: float = 100.0) -> tuple[Any, Tensor]:
    import_timm("convit")
    from timm.models.convit import GPSA

    attention = GPSA(_WIDTH, _HEADS, locality_strength=locality).double().requires_grad_(False)
    attention.pos_proj.bias.zero_()
    attention.local_init()  # type: ignore[no-untyped-call]
    attention.gating_param.fill_(gate)
    return attention, torch.randn(2, _WIDTH, _SIDE, _SIDE, dtype=torch.float64)


def _check_displacements(lab: Lab) -> None:
    """As published, with locality 1 and open gates, each head looks most at its displacement."""
    attention, x = _given(locality=1.0, gate=1.0)
    tokens = x.flatten(2).transpose(1, 2)
    attention.rel_indices = attention.get_rel_indices(_SIDE**2)
    looked = attention.get_attention(tokens).mean(dim=0)[:, 2 * _SIDE + 2].argmax(dim=-1)
    expected = torch.tensor([(1 + h % 3) * _SIDE + 1 + h // 3 for h in range(_HEADS)])
    lab.check("heads that look elsewhere than at their displacement", (looked != expected).sum(),
              "=", 0)  # fmt: skip


def _check_gates(lab: Lab) -> None:
    """Report the part of each head's attention that is by position."""
    trunk = ConVit.tiny()
    gates = {k: p for k, p in trunk.named_parameters() if k.endswith("gating_param")}
    before = {key: gate.detach().sigmoid() for key, gate in gates.items()}
    data = lab.digits(trunk.multiple)
    fit(Classifier(trunk, data.classes), data.train, steps=lab.steps(40), seed=0, batch=32)
    for number, (key, gate) in enumerate(gates.items()):
        for head, part in enumerate(gate.detach().sigmoid()):
            name = f"gate of block {number}, head {head}"
            first = float(before[key][head])
            lab.check(f"{name}, before: part of the positions", first, ">", 0.5)
            what = f"{name}: {float(part):.4f} after training, which is other by"
            lab.check(what, abs(float(part) - first), ">", 0)
    moved = sum(
        float((gate.detach().sigmoid() - before[k]).abs().sum()) for k, gate in gates.items()
    )
    lab.check("by how much gates moved in all", moved, ">", 0)
