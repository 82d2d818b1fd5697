"""The cost of CAS-ViT's mixer grows linearly with the tokens; it trains and is exported."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.cas_vit import (
    AdditiveMixer,
    CasVitM,
    CasVitS,
    CasVitT,
    CasVitTiny,
    CasVitXs,
)
from glocal.learn.cost import count_flops, largest_tensor
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of the additive mixer",
    baseline="its formula written out, with sums over neighbours and means instead of convolutions",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {CasVitXs: "3.20", CasVitS: "5.76", CasVitM: "12.42", CasVitT: "21.76"}


def method(lab: Lab) -> Tensor:
    """The mixer; how its cost and largest tensor grow with the tokens, sizes and use."""
    mixer, x = _given()
    small, large = torch.zeros(1, 6, 8, 8).double(), torch.zeros(1, 6, 32, 32).double()
    per_channel = 2 * 2 * 6 * 6  # the two products with means do not depend on the tokens
    grown = (count_flops(mixer, large) - per_channel) / (count_flops(mixer, small) - per_channel)
    lab.check("operations of 1024 tokens in parts of those of 64", grown, "=", 16)
    stored = largest_tensor(lambda: mixer(large)) / largest_tensor(lambda: mixer(small))
    lab.check("largest tensor of 1024 tokens in parts of that of 64", stored, "=", 16)
    check_sizes(lab, _PUBLISHED, classifiers=2)
    check_use(lab, CasVitTiny)
    return mixer(x)


def baseline(lab: Lab) -> Tensor:
    """``Gamma(Phi(Q) + Phi(K)) V``, with shifted sums."""
    del lab
    mixer, x = _given()
    project = mixer.project.weight[:, :, 0, 0]
    query, key, value = torch.einsum("oc,bchw->bohw", project, x).chunk(3, dim=1)
    found = []
    for given, context in ((query, mixer.query), (key, mixer.key)):
        near, _, _, one, _ = context.cells
        cells = _near(given, near.weight, near.bias) / (1 + 1e-5) ** 0.5  # the untrained norm
        weight = torch.einsum("oc,bchw->bohw", one.weight[:, :, 0, 0], cells.clamp(min=0))
        weighed = given / (1 + (-weight).exp())
        means = weighed.flatten(2).mean(dim=2) @ context.channels[0].weight[:, :, 0, 0].T
        found.append(weighed / (1 + (-means[:, :, None, None]).exp()))
    similar = _near(found[0] + found[1], mixer.similarity.weight, mixer.similarity.bias)
    return _near(similar * value, mixer.join.weight, mixer.join.bias)


def _near(x: Tensor, kernel: Tensor, shift: Tensor | None) -> Tensor:
    """A 3x3 kernel of each channel as nine shifted sums."""
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    height, width = x.shape[2:]
    found = torch.zeros_like(x) if shift is None else shift[:, None, None].expand_as(x)
    for row in range(3):
        for column in range(3):
            cells = padded[:, :, row : row + height, column : column + width]
            found = found + kernel[:, 0, row, column, None, None] * cells
    return found


def _given() -> tuple[AdditiveMixer, Tensor]:
    mixer = AdditiveMixer(6).double().eval().requires_grad_(False)
    return mixer, torch.randn(2, 6, 5, 7, dtype=torch.float64)
