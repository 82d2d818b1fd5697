"""Weights of narrower layers, fitted one after another to give what the whole network's gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.learn.file_layers import FileLayers, key

_ROWS = 30_000  # places in all images at which a layer is looked at
_NUMBERS = 2**25  # that a layer is shown at these, of 4 bytes each
_RIDGE = 1e-2
_SMALL = 14  # times as wide is what is given
_AT_ONCE = 32


@torch.no_grad()
def refit(
    small: FileLayers,
    whole: FileLayers,
    given: Tensor,
    kept: Mapping[str, Sequence[int]],
    more: Tensor | None = None,
) -> None:
    """Fit each convolution, in place and in order, by least squares.

    What a layer reads is what the layers before it, already fitted, give in the smaller network;
    what it is to give is what the whole one gives there. Where a sum follows, the layer is to give
    what is missing in it, so that errors of the blocks before are made up for, not added to (He,
    Zhang and Sun, Channel Pruning for Accelerating Very Deep Neural Networks, 2017, section 3.2).
    Weights are drawn to those that were there, as far as the images say little.

    Args:
        small: the narrower layers.
        whole: the layers as they were, with the same nodes.
        given: ``(n, c, h, w)``, what both are given.
        kept: of each convolution, by its key, the channels that it still makes.
        more: ``(m, c, h, w)``, what both are given besides where maps are so small that some
            images show a layer too few places; memory allows it there.
    """
    found, wanted = {small.given[0]: given}, {whole.given[0]: given}
    last = {name: node.name for node in small.nodes for name in node.input}
    sums = {name: node for node in small.nodes if node.op_type == "Add" for name in node.input}
    for number, node in enumerate(small.nodes):
        name = node.output[0]
        if more is not None and found[node.input[0]].shape[-1] * _SMALL <= given.shape[-1]:
            _join(found, small, small.nodes[:number], more)
            _join(wanted, whole, small.nodes[:number], more)
            more = None
        whole.compute(node, wanted)
        if node.op_type == "Conv":
            target = wanted[name][:, list(kept[key(node)])]
            following = sums.get(name)
            if following is not None and target.shape[1] == wanted[name].shape[1]:
                (other,) = (each for each in following.input if each != name)
                if other in found and other in wanted:
                    target = target + wanted[other] - found[other]
            layer: Any = small.convolutions[key(node)]
            _fit(layer, small.padded(node, found[node.input[0]]), target)
        small.compute(node, found)
        for read in set(node.input):
            if last.get(read) == node.name:
                found.pop(read, None), wanted.pop(read, None)


def _join(held: dict[str, Tensor], layers: FileLayers, nodes: Sequence[Any], more: Tensor) -> None:
    """Compute more images up to here, some at a time, and put them beside those that are held."""
    parts: dict[str, list[Tensor]] = {name: [value] for name, value in held.items()}
    last = {name: node.name for node in nodes for name in node.input}
    for some in more.split(_AT_ONCE):
        found = {layers.given[0]: some}
        for node in nodes:
            layers.compute(node, found)
            for read in set(node.input):
                if last[read] == node.name and read not in held:
                    found.pop(read, None)
        for name, values in parts.items():
            values.append(found[name])
    held.update({name: torch.cat(values) for name, values in parts.items()})


def _fit(layer: nn.Conv2d, given: Tensor, target: Tensor) -> None:
    """Fit weights and bias of a layer whose input is already padded."""
    height, width = target.shape[2:]
    tall, wide = layer.kernel_size
    seen = min(_ROWS, _NUMBERS // (given.shape[1] * tall * wide))
    count = max(1, seen // len(given))
    places = torch.randperm(height * width, generator=torch.Generator().manual_seed(0))[:count]
    rows, columns = places // width, places % width
    outputs = target.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)  # (n, out)
    taps = []
    for y in range(tall):
        for x in range(wide):
            at = (
                rows * layer.stride[0] + y * layer.dilation[0],
                columns * layer.stride[1] + x * layer.dilation[1],
            )
            taps.append(given[:, :, at[0], at[1]])
    inputs = torch.stack(taps, -1).transpose(1, 2).flatten(0, 1)  # (n, in, taps)
    grouped = inputs.unflatten(1, (layer.groups, -1)).flatten(2).transpose(0, 1)  # (groups, n, k)
    answers = outputs.unflatten(1, (layer.groups, -1)).transpose(0, 1)  # (groups, n, out / groups)
    before = layer.weight.flatten(1).unflatten(0, (layer.groups, -1)).transpose(1, 2)
    if layer.bias is not None:
        middle, centre = grouped.mean(1, keepdim=True), answers.mean(1, keepdim=True)
        grouped, answers = grouped - middle, answers - centre
    residual = answers - grouped @ before
    products = (grouped.transpose(1, 2) @ grouped).double()
    scale = products.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-9)
    ridge = _RIDGE * scale[:, None, None] * torch.eye(products.shape[1], dtype=torch.double)
    change = torch.linalg.solve(products + ridge, (grouped.transpose(1, 2) @ residual).double())
    fitted = before + change.to(before.dtype)
    layer.weight.copy_(fitted.transpose(1, 2).flatten(0, 1).reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_((centre - middle @ fitted).flatten())
