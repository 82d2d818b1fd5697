"""iFormer (mobile): convolution stages, then modulation attention; sizes, latency, export."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from glocal.learn.backbones.timm_families import IFormer
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="output of single-head modulation attention",
    baseline="each place's mean of gated values, weighted by the softmax, times its modulation",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_WIDTH = 8


def method(lab: Lab) -> Tensor:
    """The attention; where the network has it, and how long the network takes."""
    attention, x = _given()
    check_family(lab, IFormer)
    if lab.seed == 0:
        network = import_timm("iformer-mobile").create_model("iformer_t").eval()
        counts = [_attentions(stage) for stage in network.stages]
        for stage, (found, due) in enumerate(zip(counts, (0, 0, 3, 2), strict=True)):
            lab.check(f"attentions in stage {stage} of the size T", found, "=", due)
        times = 1 if lab.smoke else 10
        took = [_milliseconds(network, side, times) for side in (224, 448)]
        what = f"size T takes {took[0]:.0f} ms of one core at 224x224; time of 448x448 in parts"
        lab.check(what, took[1] / took[0], "<", 8)  # 4 if linear in the cells, 16 if quadratic
    found_map: Tensor = attention(x)
    return found_map


@torch.no_grad()
def baseline(lab: Lab) -> Tensor:
    """Loop over the places of the map."""
    del lab
    attention, x = _given()
    q, k = (layer(x).flatten(2) for layer in (attention.q, attention.k))
    values, modulation = attention.v_gate(x).sigmoid().flatten(2).chunk(2, dim=1)
    places = []
    for place in range(q.shape[2]):
        scores = (q[:, :, place, None] * k).sum(dim=1) / q.shape[1] ** 0.5
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        mean = (values * weights[:, None]).sum(dim=2)
        places.append(mean * modulation[:, :, place])
    found: Tensor = attention.proj(torch.stack(places, dim=2).unflatten(2, x.shape[2:]))
    return found


def _given() -> tuple[Any, Tensor]:
    import_timm("iformer-mobile")
    from timm.models.iformer import SHMA

    attention = SHMA(_WIDTH).double().eval().requires_grad_(False)
    return attention, torch.randn(2, _WIDTH, 3, 5, dtype=torch.float64)


def _attentions(stage: Any) -> int:
    return sum(type(module).__name__ == "SHMA" for module in stage.modules())


@torch.no_grad()
def _milliseconds(network: Any, side: int, times: int) -> float:
    image = torch.rand(1, 3, side, side)
    network(image)
    started = time.process_time()
    for _ in range(times):
        network(image)
    return 1000 * (time.process_time() - started) / times
