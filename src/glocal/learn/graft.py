"""Graft blocks into a backbone, and merge their branches again for inference."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone, Block, Role

Make = Callable[..., Block]
Trunk = TypeVar("Trunk", bound=Backbone)


class Residual(nn.Module):
    """A layer whose result is added to its input: what a residual block stands in for.

    Args:
        layer: computes what is added.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """The input and what the layer makes of it, added."""
        found: Tensor = x + self.layer(x)
        return found


def graft(trunk: Trunk, role: Role, make: Make, stages: Sequence[int] | None = None) -> Trunk:
    """A copy of a backbone in which blocks stand in for its layers.

    ========  ============================================================================
    role      what the blocks stand in for
    ========  ============================================================================
    conv      each convolution that is larger than 1x1
    mixer     each such convolution of stride 1 that keeps the width
    mlp       each 1x1 convolution of stride 1
    pool      each maximum or average pooling
    residual  the sums of each run of `Residual` modules, whose layers are kept
    gate      nothing: a gate follows each stage
    ========  ============================================================================

    A layer of a width or stride that the block cannot have stays as it is.

    Args:
        trunk: the backbone; it is not changed.
        role: what is replaced.
        make: the block's class, or a function that builds one with the same arguments.
        stages: numbers of the stages to change, counted from 0; None for all.

    Raises:
        LearnError: there is no such stage, or nothing in it that the block could stand in for.
    """
    grafted = copy.deepcopy(trunk)
    chosen = range(len(grafted.stages)) if stages is None else stages
    wrong = [number for number in chosen if not 0 <= number < len(grafted.stages)]
    if wrong:
        raise LearnError(f"the backbone has {len(grafted.stages)} stages; there is no {wrong[0]}")
    widths = _pooled_widths(grafted) if role == "pool" else {}
    count = 0
    for number in chosen:
        if role == "gate":
            gate = make(grafted.levels[number].width)
            grafted.stages[number] = nn.Sequential(grafted.stages[number], gate)
            count += 1
        elif role == "residual":
            count += _replace_sums(grafted.stages[number], make)
        else:
            count += _replace_layers(grafted.stages[number], role, make, widths)
    if not count:
        raise LearnError(
            f"stages {list(chosen)} have nothing that a block of the role {role} could stand in "
            "for; choose other stages or another backbone"
        )
    grafted.train(trunk.training)
    return grafted


def merge(module: nn.Module) -> nn.Module:
    """Replace each block by what it is merged to, in place, in evaluation mode.

    Returns:
        The module itself, or what it is merged to if it is a block.
    """
    for name, child in module.named_children():
        setattr(module, name, merge(child))
    return module.merged() if isinstance(module, Block) else module


def _replace_layers(stage: nn.Module, role: Role, make: Make, widths: dict[nn.Module, int]) -> int:
    count = 0
    for parent in list(stage.modules()):
        if isinstance(parent, Block):
            continue
        for name, child in list(parent.named_children()):
            block = _stand_in(child, role, make, widths)
            if block is not None:
                setattr(parent, name, block)
                count += 1
    return count


def _stand_in(
    layer: nn.Module, role: Role, make: Make, widths: dict[nn.Module, int]
) -> Block | None:
    if role == "pool":
        if layer not in widths:
            return None
        stride = cast(Any, layer).stride
        return _built(make, widths[layer], widths[layer], _one(stride))
    if not isinstance(layer, nn.Conv2d):
        return None
    large, stride = max(layer.kernel_size) > 1, _one(layer.stride)
    keeps = layer.in_channels == layer.out_channels and stride == 1
    if large if role == "conv" else large and keeps if role == "mixer" else not large:
        return _built(make, layer.in_channels, layer.out_channels, stride)
    return None


def _built(make: Make, width: int, out: int, stride: int) -> Block | None:
    """The block, or None where it cannot have this width and stride."""
    made: Any = make
    strides = getattr(made, "strides", (1, 2))
    if stride not in strides or (out != width and not getattr(made, "widens", True)):
        return None
    return make(width, out=out, stride=stride)


def _replace_sums(stage: nn.Module, make: Make) -> int:
    count = 0
    for parent in list(stage.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for run in _runs(parent):
            units = [cast(Residual, parent[place]) for place in run]
            width = _width(units[0].layer)
            parent[run[0]] = make(width, layers=[unit.layer for unit in units])
            for place in run[1:]:
                parent[place] = nn.Identity()
            count += 1
    return count


def _runs(parent: nn.Sequential) -> Iterator[list[int]]:
    """Places of neighbouring `Residual` modules."""
    run: list[int] = []
    for place, child in enumerate([*parent, None]):
        if isinstance(child, Residual):
            run.append(place)
        elif run:
            yield run
            run = []


def _width(layer: nn.Module) -> int:
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
        if isinstance(module, Block):
            return module.width
    raise LearnError("a residual layer without convolutions has no width; give it one")


def _pooled_widths(trunk: Backbone) -> dict[nn.Module, int]:
    """The number of channels that each pooling of a trunk gets."""
    found: dict[nn.Module, int] = {}
    hooks = [
        module.register_forward_hook(
            lambda layer, given, _: found.__setitem__(layer, given[0].shape[1])
        )
        for module in trunk.modules()
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
    ]
    was = trunk.training
    with torch.no_grad():
        trunk.eval()(torch.zeros(1, 3, 2 * trunk.multiple, 2 * trunk.multiple))
    trunk.train(was)
    for hook in hooks:
        hook.remove()
    return found


def _one(stride: int | tuple[int, ...]) -> int:
    return stride if isinstance(stride, int) else stride[0]
