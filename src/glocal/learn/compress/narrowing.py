"""Make the convolutions of a model file narrower: what goes is planned, and the rest fitted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import CompressError, LearnError
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan
from glocal.learn.compress.compressor import Evidence, make_compressor
from glocal.learn.compress.file_times import layer_times, processor_times
from glocal.learn.compress.reconstruction import Reconstruction
from glocal.learn.compress.refitting import refit
from glocal.learn.file_layers import FileLayers, key
from glocal.learn.quantization import Images, open_model, quantisable, weights_in_single
from glocal.learn.teaching import difference, squares

MULTIPLE = 16
"""Kernels of ONNX Runtime compute so many channels at a time; others would be wasted."""

SIDE = 160
_PLANNED_ON = 256
_LOST_ON = 48  # for compressors that ask often
_REFITTED_ON, _REFITTED_SIDE = 80, 192
_REFITTED_MORE = 512  # where maps are small
_OFFSET = 0.1  # nothing is lost before anything is removed: a tolerance is in parts of this
_TRIES = 4
_NEAR, _FAR = 0.02, 0.1
Pixels = NDArray[np.uint8]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A narrower model, fitted but not taught.

    Attributes:
        whole: a ``ModelProto``: the model as it was, weights of its layers in single precision.
        model: the narrower one.
        flops: share of the operations of convolutions that is left.
    """

    whole: Any
    model: Any
    flops: float


def narrow(
    model: Any,
    images: Images,
    *,
    method: str,
    goal: str,
    keep: float,
    listen: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Narrowed:
    """Remove channels between the layers of a model.

    Args:
        model: a ``ModelProto`` of glocal's, which is left as it is.
        images: to plan with, each ``(1, h, w, 3)`` uint8 as the model takes it.
        method: a compressor that removes channels.
        goal: ``flops``, operations of the convolutions, or ``time``, that of a vector here.
        keep: share to keep, in (0, 1).
        listen: is told the stage, and how much of it is done.

    Raises:
        LearnError: the model is no network of convolutions.
        CompressError: no channels can be removed, or the goal cannot be reached.
        MissingExtraError: torch-pruning is not installed.
    """
    whole, nodes = prepared(model)
    layers = FileLayers(whole, nodes, "lose channels").eval()
    names = [key(node) for node in nodes if node.op_type == "Conv"]
    if len(set(names)) < len(names) or len(layers.given) != 1:
        raise LearnError(
            "only a network of convolutions that follow one another can lose channels; this one "
            f"has {len(names) - len(set(names))} layers that are used twice, and "
            f"{len(layers.given)} places where other layers lead into its convolutions"
        )
    picture = _median_picture(images)
    listen("measuring layers", 0, 1)
    costs, fixed = _costs(whole, nodes, picture) if goal == "time" else (None, 0.0)
    if fixed >= keep:
        raise CompressError(
            f"what is not convolutions takes {fixed:.2f} of the time, so {keep} of it cannot be "
            "reached; keep more"
        )
    listen("measuring layers", 1, 1)
    listen("planning", 0, 1)
    given = _given(whole, layers, images[:_PLANNED_ON])
    planned = _planner(method, layers, Evidence(given, _losses(layers, given[:_LOST_ON])), costs)
    groups = ChannelGroups(layers, given)
    before = open_model(whole)

    def reached(plan: ChannelPlan) -> float:
        if goal == "flops":
            return groups.remaining_flops(plan.removed) / groups.flops
        after = open_model(with_layers(whole, _layers(plan.apply(layers))))
        one, other = processor_times([before, after], picture)
        return other / one

    def tried(share: float) -> ChannelPlan:
        of_convolutions = (share - fixed) / (1 - fixed)
        if not 0 < of_convolutions < 1:
            raise CompressError(f"{goal}={keep} cannot be reached with this model; keep more")
        return in_multiples(planned(of_convolutions), groups, layers)

    plan = _nearest(tried, reached, keep, over=goal == "time")
    listen("planning", 1, 1)
    listen("refitting", 0, 1)
    shown = _given(whole, layers, images[: _REFITTED_ON + _REFITTED_MORE], side=_REFITTED_SIDE)
    few, more = shown[:_REFITTED_ON], shown[_REFITTED_ON:]
    small = _layers(plan.apply(layers))
    refit(small, layers, few, _kept(layers, groups, plan), more if len(more) else None)
    listen("refitting", 1, 1)
    return Narrowed(
        whole=whole,
        model=with_layers(whole, small),
        flops=groups.remaining_flops(plan.removed) / groups.flops,
    )


def _nearest(
    tried: Callable[[float], ChannelPlan],
    reached: Callable[[ChannelPlan], float],
    keep: float,
    *,
    over: bool,
) -> ChannelPlan:
    """The plan that comes nearest to a goal; less may be kept than asked for unless `over`."""
    share, found = keep, list[tuple[float, ChannelPlan]]()
    for _ in range(_TRIES):
        plan = tried(share)
        left = reached(plan)
        _log.info("%.3f planned, %.3f reached", share, left)
        missed = abs(left - keep) if over else max(0.0, left - keep)
        found.append((missed, plan))
        if missed <= _NEAR:
            break
        share = min(0.98, max(0.02, share + keep - left))
    missed, plan = min(found, key=lambda each: each[0])
    if missed > _FAR:
        raise CompressError(f"the goal of {keep} is missed by {missed:.2f}; keep more")
    return plan


def _layers(model: Any) -> FileLayers:
    """What a plan makes of layers are layers again, though it says so of any module."""
    found: FileLayers = model
    return found


def prepared(model: Any) -> tuple[Any, tuple[Any, ...]]:
    """A copy whose weights are in single precision and whose nodes have names; its layers."""
    from onnx import ModelProto

    whole = ModelProto()
    whole.CopyFrom(model)
    nodes = quantisable(whole)
    weights_in_single(whole, whole.graph.node)
    return whole, nodes


def _costs(model: Any, nodes: Sequence[Any], picture: Pixels) -> tuple[dict[str, int], float]:
    """Nanoseconds of each convolution, and the share of the time that is none of theirs."""
    times, total = layer_times(model, nodes, picture)
    layers = [node for node in nodes if node.op_type == "Conv"]
    missing = [node for node in layers if node.name not in times]
    if missing:
        raise CompressError(
            f"ONNX Runtime does not tell the time of {len(missing)} of the layers on this "
            "machine; use --goal flops=SHARE"
        )
    costs = {f"convolutions.{key(node)}": round(1e9 * times[node.name]) for node in layers}
    return costs, 1 - 1e-9 * sum(costs.values()) / total


def with_layers(model: Any, layers: FileLayers) -> Any:
    """A copy of a model with other weights, of other shapes, in its convolutions."""
    made = with_weights(model, layers.weights())
    convolutions: Any = layers.convolutions
    for node in made.graph.node:
        if node.op_type == "Conv" and key(node) in convolutions:
            for attribute in node.attribute:
                if attribute.name == "group":
                    attribute.i = convolutions[key(node)].groups
    del made.graph.value_info[:]  # it tells the shapes of before
    return made


def with_weights(model: Any, weights: Mapping[str, NDArray[np.float32]]) -> Any:
    """A copy of a model with other weights of some names."""
    from onnx import ModelProto, numpy_helper

    made = ModelProto()
    made.CopyFrom(model)
    for stored in made.graph.initializer:
        if stored.name in weights:
            stored.CopyFrom(numpy_helper.from_array(weights[stored.name], stored.name))
    return made


def in_multiples(plan: ChannelPlan, groups: ChannelGroups, model: nn.Module) -> ChannelPlan:
    """The plan with so many channels of each group left as `MULTIPLE` allows, to the nearest.

    Of those that were to go, the ones of the largest filters stay, and the other way round.
    """
    removed = {}
    for root, channels in plan.removed.items():
        size, gone = groups.sizes[root], list(channels)
        left = max(MULTIPLE, round((size - len(gone)) / MULTIPLE) * MULTIPLE)
        wanted = max(0, size - left)
        if gone and wanted != len(gone):
            ranked = groups.magnitudes(model, root).argsort().tolist()
            taken = set(gone)
            gone = [c for c in ranked if c in taken] + [c for c in ranked if c not in taken]
            gone = sorted(gone[:wanted])
        removed[root] = gone
    if removed == {root: list(channels) for root, channels in plan.removed.items()}:
        return plan
    kept = groups.remaining_flops(removed) / groups.flops
    return ChannelPlan(removed, plan.images, kept)


def _planner(
    method: str, layers: FileLayers, evidence: Evidence, costs: Mapping[str, int] | None
) -> Callable[[float], ChannelPlan]:
    """What plans for a share; what does not depend on the share is done once, where possible."""
    if method == Reconstruction.name:
        return Reconstruction(MULTIPLE, costs).look(layers, evidence).plan

    def plan(share: float) -> ChannelPlan:
        found = make_compressor(method).plan(layers, share, evidence)
        if not isinstance(found, ChannelPlan):
            raise CompressError(f"the compressor {method} does not say which channels it removes")
        return found

    return plan


def _median_picture(images: Images) -> Pixels:
    """An image of ordinary size."""
    return sorted(images, key=lambda image: image.size)[len(images) // 2]


def _kept(layers: FileLayers, groups: ChannelGroups, plan: ChannelPlan) -> dict[str, list[int]]:
    """Channels that each convolution still makes, by its key."""
    convolutions: Any = layers.convolutions
    gone: dict[str, set[int]] = {}
    for root, channels in plan.removed.items():
        for each in groups.touched(root, channels) if channels else ():
            if each.side in ("out", "both"):
                gone.setdefault(each.layer, set()).update(each.channels)
    return {
        name: [
            n for n in range(layer.out_channels) if n not in gone.get(f"convolutions.{name}", ())
        ]
        for name, layer in convolutions.items()
    }


def _given(model: Any, layers: FileLayers, images: Images, side: int = SIDE) -> Tensor:
    """What the convolutions are given for squares of images, ``(n, c, h, w)``."""
    session = open_model(model, layers.given)
    shown = next(squares(images, batch=len(images), side=side, seed=0))
    rows = [session.run(layers.given, {"image": image[None]})[0] for image in shown]
    return torch.from_numpy(np.concatenate(rows))


def _losses(layers: FileLayers, given: Tensor) -> Callable[[nn.Module], Sequence[float]]:
    """How far maps are from the whole network's, and their means over the image: two losses."""
    with torch.no_grad():
        wanted = layers(given)

    @torch.no_grad()
    def losses(network: nn.Module) -> list[float]:
        found = network(given)
        last = layers.watched[-1]
        pooled = [functional.normalize(each[last].mean((2, 3))) for each in (found, wanted)]
        return [
            _OFFSET + float((1 - (pooled[0] * pooled[1]).sum(1)).mean()),
            _OFFSET + float(difference(found, wanted)),
        ]

    return losses
