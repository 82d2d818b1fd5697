"""Channels go where what reads them can be made up from those that stay."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from glocal.errors import CompressError
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan
from glocal.learn.compress.compressor import Compressor, Evidence, Saves

_ROWS = 400  # places of an image at which a layer's input is looked at
_LARGEST = 6000  # numbers of a layer's input beyond which its group stays whole
_DAMPING = 1e-4
_SHRUNK_BY = 32  # so many channels left before matrices become smaller
_SUFFER_ON = 24  # images
_LEAST = 0.05  # of a group's channels stay


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructionPlan(ChannelPlan):
    """Channels to remove, and weights of the layers that read them.

    Attributes:
        weights: by layer: its weights, zeros where channels go, and its bias, if it has one.
    """

    weights: dict[str, tuple[Tensor, Tensor | None]]

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy without the channels, of fewer weights and operations."""
        return super(ReconstructionPlan, self).apply(self.masked(model))

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy of the same shapes that computes what the smaller one does."""
        found = copy.deepcopy(model)
        with torch.no_grad():
            for name, (weight, bias) in self.weights.items():
                layer: Any = found.get_submodule(name)
                layer.weight.copy_(weight)
                if bias is not None:
                    layer.bias.copy_(bias)
        return found


class Reconstruction(Compressor[ReconstructionPlan]):
    """Channels inside blocks, chosen and made up for by least squares.

    A group of channels that one layer reads is taken as a linear regression: the layer's output is
    to be what it was, ``min ‖W x - W' x_S‖²`` over the channels ``S`` that stay. Channels leave one
    after another, always the one whose leaving costs least when all others make up for it, by the
    inverse of the inputs' covariance. That gives each group's error for any width; how much the
    network's outputs suffer from half of a group is measured, and widths are shared out so that
    the least is lost for what is spared, operations or, with `costs`, measured time.
    Residual sums keep their channels.

    Sources: He, Zhang and Sun, Channel Pruning for Accelerating Very Deep Neural Networks, 2017
    (channels chosen and weights fitted to reconstruct the next layer's output); Hassibi and Stork,
    Second Order Derivatives for Network Pruning: Optimal Brain Surgeon, 1992 (the elimination).

    Deviations: elimination in place of the lasso; widths are not given but shared out.

    Args:
        multiple: widths are left at multiples of it, where kernels waste nothing.
        costs: what each layer costs as it is, by its name, such as its nanoseconds where the
            network is to run; None to count operations.
    """

    name = "reconstruction"
    saves: ClassVar[Saves] = "channels"

    def __init__(self, multiple: int = 1, costs: Mapping[str, int] | None = None) -> None:
        if multiple < 1:
            raise CompressError(f"multiple has to be at least 1, not {multiple!r}")
        self.multiple, self.costs = multiple, costs

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> ReconstructionPlan:
        return self.look(model, evidence).plan(keep)

    def look(self, model: nn.Module, evidence: Evidence | None) -> Look:
        """All that planning has to know, whatever the goal is.

        Args:
            model: in evaluation mode.
            evidence: images.

        Raises:
            CompressError: there is no evidence, or no channel can be removed so.
        """
        if evidence is None:
            raise CompressError(f"the compressor {self.name!r} looks at images; pass evidence")
        groups = _PricedGroups(model, evidence.images, self.costs)
        readers = {root: _reader(groups, model, root) for root in groups.sizes}
        inner = {root: name for root, name in readers.items() if name is not None}
        inputs = _inputs(model, evidence.images, set(inner.values()))
        curves = {
            root: _Curve.of(model.get_submodule(name), groups.sizes[root], *inputs[name])
            for root, name in inner.items()
            if name in inputs
        }
        if not curves:
            raise CompressError(
                "no group of channels of this network is read by one layer alone; use pagcp"
            )
        images = evidence.images[:_SUFFER_ON]
        wanted = _outputs(model, images)
        suffering = {}
        for root, curve in curves.items():
            half = len(curve.order) // 2
            tried = ReconstructionPlan({}, images[:1], 1.0, {inner[root]: curve.weights(half)})
            found = _outputs(tried.masked(model), images)
            lost = sum(_relative(*pair) for pair in zip(found, wanted, strict=True))
            suffering[root] = lost / max(curve.errors[half], 1e-12)
        return Look(self.multiple, groups, inner, curves, suffering, images[:1])


class _PricedGroups(ChannelGroups):
    """Groups of channels, and what a pass costs where that is not operations.

    Args:
        model, images: as for `ChannelGroups`.
        costs: of each layer as it is, by its name; None to count operations.
    """

    def __init__(
        self, model: nn.Module, images: Tensor, costs: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(model, images)
        if costs is not None:
            self._costs = dict(costs)
            self.flops = sum(costs.values())


def _reader(groups: ChannelGroups, model: nn.Module, root: str) -> str | None:
    """The layer that alone reads a group that one layer alone makes; None if there is none.

    Each channel has to be one of its inputs, as it is not where maps are flattened.
    """
    makers, readers = [], []
    for each in groups.touched(root, range(groups.sizes[root])):
        layer: Any = model.get_submodule(each.layer)
        if isinstance(layer, nn.Conv2d | nn.Linear) and each.side != "both":
            if each.side == "out":
                makers.append(each.layer)
            elif each.channels == tuple(range(groups.sizes[root])):
                readers.append(each.layer)
            else:
                return None
    if len(makers) != 1 or len(readers) != 1:
        return None
    reads: Any = model.get_submodule(readers[0])
    return None if getattr(reads, "groups", 1) > 1 else readers[0]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is known of a network before a goal is set.

    Attributes:
        multiple: widths are left at multiples of it.
        groups: the channels that can be removed.
    """

    multiple: int
    groups: ChannelGroups
    _readers: dict[str, str]
    _curves: dict[str, _Curve]
    _suffering: dict[str, float]
    _image: Tensor

    def plan(self, keep: float) -> ReconstructionPlan:
        """Share out what is to be spared.

        Raises:
            CompressError: the goal cannot be reached.
        """
        counts = dict.fromkeys(self._curves, 0)
        sizes, whole = self.groups.sizes, self.groups.flops
        # What one group spares hardly depends on the others, as few layers are in two of them.
        prices = {root: whole - self.groups.remaining_flops({root: [0]}) for root in counts}

        def next_count(root: str) -> int:
            """How many have left after one step more, when a multiple is left."""
            left = (sizes[root] - counts[root] - 1) // self.multiple * self.multiple
            return sizes[root] - left

        def dearness(root: str) -> float:
            now, then = counts[root], next_count(root)
            errors = self._curves[root].errors
            lost = (errors[then] - errors[now]) * self._suffering[root]
            return lost / ((then - now) * prices[root])

        def removed() -> dict[str, list[int]]:
            return {root: sorted(self._curves[root].order[:n]) for root, n in counts.items()}

        while (cost := self.groups.remaining_flops(removed())) > keep * whole:
            possible = [
                root
                for root in counts
                if sizes[root] - next_count(root) >= max(self.multiple, round(_LEAST * sizes[root]))
            ]
            if not possible:
                raise CompressError(
                    f"with the fewest channels inside its blocks, {cost / whole:.1%} of this "
                    f"network is left, not {keep:.1%}; keep more"
                )
            root = min(possible, key=dearness)
            counts[root] = next_count(root)
        weights = {
            self._readers[root]: self._curves[root].weights(count)
            for root, count in counts.items()
            if count
        }
        return ReconstructionPlan(removed(), self._image, cost / whole, weights)


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """A group of channels before the layer that reads it.

    Attributes:
        layer: the layer.
        order: the channels, those that leave first at the beginning.
        errors: ``(channels + 1,)``: squared error of the layer's output when so many have left, as
            a share of its variance.
    """

    layer: Any
    order: list[int]
    errors: list[float]
    _covariance: Tensor
    _mean: Tensor

    @classmethod
    def of(cls, layer: Any, size: int, covariance: Tensor, mean: Tensor) -> _Curve:
        """Eliminate the channels one after another."""
        block = covariance.shape[0] // size
        matrix = layer.weight.detach().double().flatten(1).clone()
        inverse = torch.linalg.inv(_damped(covariance))
        power = float(((matrix @ covariance) * matrix).sum().clamp_min(1e-12))
        order: list[int] = []
        errors, here = [0.0], torch.arange(size)  # channels that the matrices still have
        alive = torch.ones(size, dtype=torch.bool)
        while len(order) < size:
            if int((~alive).sum()) >= _SHRUNK_BY:
                rows = (alive.nonzero() * block + torch.arange(block)).flatten()
                matrix, inverse = matrix[:, rows], inverse[rows][:, rows]
                here, alive = here[alive], alive[alive]
            blocks = inverse.unflatten(0, (-1, block)).unflatten(2, (-1, block))
            own = blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()
            own[~alive] = torch.eye(block, dtype=own.dtype)
            own = torch.linalg.inv(own)
            columns = matrix.unflatten(1, (-1, block))
            rises = torch.einsum("ogi,gij,ogj->g", columns, own, columns)
            rises[~alive] = torch.inf
            best = int(rises.argmin())
            gone = torch.arange(best * block, (best + 1) * block)
            step = own[best] @ inverse[gone]
            matrix -= matrix[:, gone] @ step
            inverse -= inverse[:, gone] @ step
            matrix[:, gone] = 0
            alive[best] = False
            order.append(int(here[best]))
            errors.append(errors[-1] + float(rises[best]) / power)
        return cls(layer, order, errors, covariance, mean)

    def weights(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Weights and bias of the layer without the first so many, fitted by least squares."""
        size = len(self.order)
        block = len(self._mean) // size
        whole = self.layer.weight.detach().double().flatten(1)
        kept = torch.tensor(sorted(self.order[count:]))
        rows = (kept[:, None] * block + torch.arange(block)).flatten()
        damped = _damped(self._covariance)
        fitted = torch.zeros_like(whole)
        fitted[:, rows] = torch.linalg.solve(damped[rows][:, rows], damped[rows] @ whole.T).T
        bias = self.layer.bias
        if bias is not None:
            bias = (bias.detach().double() + (whole - fitted) @ self._mean).to(bias.dtype)
        weight = self.layer.weight
        return fitted.reshape(weight.shape).to(weight.dtype), bias


def _damped(covariance: Tensor) -> Tensor:
    return covariance + torch.eye(len(covariance)) * _DAMPING * covariance.diagonal().mean()


@torch.no_grad()
def _inputs(model: nn.Module, images: Tensor, layers: set[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Second moments of what layers read, and means: about these where a layer has a bias."""
    sums: dict[str, list[Any]] = {}
    generator = torch.Generator().manual_seed(0)

    def look(name: str, layer: Any, given: Tensor) -> None:
        rows = _rows(layer, given)
        if rows.shape[1] > _LARGEST:
            return
        chosen = torch.randperm(len(rows), generator=generator)[: _ROWS * len(given)]
        rows = rows[chosen].double()
        found = sums.setdefault(name, [0, 0, 0])
        for place, value in enumerate((rows.T @ rows, rows.sum(0), len(rows))):
            found[place] = found[place] + value

    handles = []
    for name in layers:
        layer = model.get_submodule(name)
        handles.append(
            layer.register_forward_hook(
                lambda module, given, _, name=name: look(name, module, given[0])
            )
        )
    try:
        for part in images.split(8):
            model(part)
    finally:
        for handle in handles:
            handle.remove()
    result = {}
    for name, (products, total, count) in sums.items():
        mean = total / count
        if getattr(model.get_submodule(name), "bias", None) is None:
            mean = torch.zeros_like(mean)  # nothing makes up for a mean that changes
        result[name] = products / count - torch.outer(mean, mean), mean
    return result


def _rows(layer: Any, given: Tensor) -> Tensor:
    """What a layer multiplies its weights with, ``(n, inputs)``, channel by channel."""
    if isinstance(layer, nn.Linear):
        return given.flatten(0, -2)
    if layer.kernel_size == (1, 1):
        top, left = layer.stride
        return given[:, :, ::top, ::left].flatten(2).transpose(1, 2).flatten(0, 1)
    unfolded = functional.unfold(
        given, layer.kernel_size, layer.dilation, layer.padding, layer.stride
    )
    return unfolded.transpose(1, 2).flatten(0, 1)


@torch.no_grad()
def _outputs(model: nn.Module, images: Tensor) -> list[Tensor]:
    found = model(images)
    leaves = [found.vector] if hasattr(found, "vector") else tree_leaves(found)
    return [each for each in leaves if isinstance(each, Tensor)]


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().mean() / wanted.square().mean().clamp_min(1e-12))
