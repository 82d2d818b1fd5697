"""EfficientViM mixes channels of few hidden states; its fused states; training, throughput."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from glocal.learn.backbones.timm_families import EfficientViM
from glocal.learn.cost import count_flops
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="output of the hidden state mixer",
    baseline="states summed cell by cell, each passed through the matrices by itself",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_WIDTH, _STATES, _SHAPE = 8, 5, (4, 6)


def method(lab: Lab) -> Tensor:
    """The mixer; its cost, the network's throughput, what the classifier reads."""
    mixer, x = _given()
    check_family(lab, EfficientViM)
    if lab.seed == 0:
        costs = [_cost_of_gates(mixer, cells) for cells in (16, 64)]
        lab.check("cost of the gates' projections, 64 cells by 16", costs[1] / costs[0], "=", 1)
        tiny, batches = EfficientViM.tiny().eval(), 1 if lab.smoke else 20
        rates = [_images_a_second(tiny, side, batches) for side in (256, 512)]
        what = f"{rates[0]:.0f} images of 256x256 a second of one core; time of 512x512 in parts"
        lab.check(what, rates[0] / rates[1], "<", 8)  # 4 if linear in the cells, 16 if quadratic
        for stage, change in enumerate(_changes_of_classes()):
            lab.check(f"change of the classes' scores when stage {stage}'s states are zero",
                      change, ">", 1e-3)  # fmt: skip
    found: Tensor = mixer(x)[0]
    return found


@torch.no_grad()
def baseline(lab: Lab) -> Tensor:
    """``h_n = sum_l softmax_l(dt + A) B x_l``, gate and project each, ``y_l = sum_n C h_n``."""
    del lab
    mixer, x = _given()
    cells = x.flatten(2)
    count = cells.shape[2]
    projected = torch.einsum("oc,bcl->bol", mixer.BCdt_proj.conv.weight[:, :, 0], cells)
    b, c, dt = mixer.dw(projected.unflatten(2, _SHAPE)).flatten(2).chunk(3, dim=1)
    found = torch.zeros_like(cells)
    for state in range(_STATES):
        rates = (dt[:, state] + mixer.A[state]).exp()
        rates = rates / rates.sum(dim=1, keepdim=True)
        hidden = torch.zeros(len(x), _WIDTH, dtype=x.dtype)
        for cell in range(count):
            weight = rates[:, cell] * b[:, state, cell]
            hidden = hidden + weight[:, None] * cells[:, :, cell]
        h, z = (hidden @ mixer.hz_proj.conv.weight[:, :, 0].T).chunk(2, dim=1)
        mixed = (h * z * z.sigmoid() + h * mixer.D) @ mixer.out_proj.conv.weight[:, :, 0].T
        found += mixed[:, :, None] * c[:, state, None]
    return found.unflatten(2, _SHAPE)


def _given() -> tuple[Any, Tensor]:
    import_timm("efficientvim")
    from timm.models.efficientvim import HSMSSD

    mixer = HSMSSD(_WIDTH, state_dim=_STATES).double().requires_grad_(False)
    return mixer, torch.randn(2, _WIDTH, *_SHAPE, dtype=torch.float64)


def _cost_of_gates(mixer: Any, cells: int) -> float:
    """Operations of the projections of gates and output for a map of so many cells."""
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        for layer in (mixer.hz_proj, mixer.out_proj)
    ]
    mixer(torch.zeros(1, _WIDTH, cells // 4, 4, dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    layers = (mixer.hz_proj, mixer.out_proj)
    return float(sum(count_flops(one, given) for one, given in zip(layers, seen, strict=True)))


@torch.no_grad()
def _images_a_second(trunk: EfficientViM, side: int, batches: int) -> float:
    images = torch.rand(4, 3, side, side)
    trunk(images)
    started = time.process_time()
    for _ in range(batches):
        trunk(images)
    return 4 * batches / (time.process_time() - started)


@torch.no_grad()
def _changes_of_classes() -> list[float]:
    """How much the scores change, in parts, when one stage's hidden states are set to zero."""
    timm = import_timm("efficientvim")
    network = timm.create_model("efficientvim_m1", num_classes=10, embed_dim=(16, 32, 64)).eval()
    for module in network.modules():  # layers that begin at zero make all states zero
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
        elif isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight)
    image = torch.rand(1, 3, 128, 128)
    scores = network(image)
    found = []
    for stage in network.stages:
        hook = stage.register_forward_hook(lambda _, __, out: (*out[:2], torch.zeros_like(out[2])))
        found.append(float((network(image) - scores).norm() / scores.norm()))
        hook.remove()
    return found
