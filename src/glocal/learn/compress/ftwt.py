"""FTWT: what reaches a layer tells, image by image, which of its filters are worth running."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from glocal.errors import CompressError
from glocal.learn.compress.compressor import Compressor, Evidence, Plan, Saves
from glocal.learn.cost import count_flops

_STEPS, _RATE = 150, 0.05  # of the predictors' training
_COUNTED = 64  # images whose operations are counted at the end


class PredictedFilters(nn.Module):
    """A convolution, its normalisation and its rectifier, of which an image gets some filters.

    The predictor sees the maximum of each input channel, and stays as it is when the network is
    trained with its masks. One image in evaluation mode runs only
    the filters that are predicted; batches run all and set the others to zero, which is the same.

    Args:
        conv: convolution without groups.
        norm: its normalisation.
        act: its rectifier.
        skips: whether filters are left out, not only set to zero.
    """

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, act: nn.Module, *, skips: bool
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.act, self.skips = conv, norm, act, skips
        self.predictor = nn.Linear(conv.in_channels, conv.out_channels).requires_grad_(False)

    def chosen(self, x: Tensor) -> Tensor:
        """Which filters run, ``(b, out)`` bool; at least one for each image."""
        logits: Tensor = self.predictor(x.amax(dim=(2, 3)))
        best: Tensor = logits == logits.amax(dim=1, keepdim=True)
        return (logits > 0) | best

    def forward(self, x: Tensor) -> Tensor:
        """The rectified output, zero where a filter does not run."""
        chosen = self.chosen(x)
        if not (self.skips and len(x) == 1 and not self.training):
            found: Tensor = self.act(self.norm(self.conv(x))) * chosen[:, :, None, None]
            return found
        run, conv, norm = chosen[0].nonzero().flatten(), self.conv, self.norm
        bias = None if conv.bias is None else conv.bias[run]
        y = functional.conv2d(x, conv.weight[run], bias, conv.stride, conv.padding, conv.dilation)
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        y = functional.batch_norm(
            y, mean[run], variance[run], norm.weight[run], norm.bias[run], eps=norm.eps
        )
        whole = y.new_zeros(1, conv.out_channels, *y.shape[2:])
        return whole.index_copy(1, run, self.act(y))


@dataclass(frozen=True, slots=True, eq=False)
class FilterPlan(Plan):
    """Predictors of filters.

    Attributes:
        predictors: weight and bias by the name of a convolution.
        kept: mean share of the operations over the first images that were planned on, counted;
            masks of one layer change what the next one is predicted from, so that it is not quite
            the goal.
    """

    predictors: Mapping[str, tuple[Tensor, Tensor]]
    kept: float

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy that leaves filters out where one image is computed at a time."""
        return self._with(model, skips=True)

    def masked(self, model: nn.Module) -> nn.Module:
        """A copy that computes all filters and sets those to zero that would be left out."""
        return self._with(model, skips=False)

    def _with(self, model: nn.Module, *, skips: bool) -> nn.Module:
        found = copy.deepcopy(model)
        for name, (weight, bias) in self.predictors.items():
            parent = found.get_submodule(name.rpartition(".")[0])
            place = int(name.rpartition(".")[2])
            assert isinstance(parent, nn.Sequential)  # noqa: S101 - see `_places`
            conv, norm, act = (parent[place + step] for step in range(3))
            made = PredictedFilters(conv, norm, act, skips=skips)  # type: ignore[arg-type]
            with torch.no_grad():
                made.predictor.weight.copy_(weight)
                made.predictor.bias.copy_(bias)
            parent[place], parent[place + 1], parent[place + 2] = made, nn.Identity(), nn.Identity()
            made.train(parent.training)
        return found


class FireTogether(Compressor[FilterPlan]):
    """Each image runs the filters that the layer before says will fire.

    A filter's mass is the sum of its rectified output over the cells, as a share of that of all
    filters of the layer. For each image the ``k`` filters with the most mass are worth running,
    where ``k`` is the smallest number whose masses reach ``r`` together. A linear predictor on the
    maxima of the layer's input channels learns to tell these filters by binary cross-entropy, of
    the network's own activations, without labels. The operations that are left follow from ``k``
    before anything is trained, so ``r`` is found from the goal. What the plan makes is then to be
    trained with its masks, as by `glocal.learn.compress.distillation.distil`: predictors stay, and
    the filters that ran learn.

    Source: Elkerdawy, Elhoushi, Zhang and Ray, Fire Together Wire Together: A Dynamic Pruning
    Approach with Self-Supervised Mask Prediction, 2022; decoupled training.

    Deviations: ``r`` is one for the network. Predictors learn from activations of the whole
    network, on the images of the evidence only, and their biases are set so that each layer runs as
    many filters as were worth running. Filters are left out for one image at a time; an ONNX file
    cannot leave them out.
    """

    name = "ftwt"
    saves: ClassVar[Saves] = "channels"

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> FilterPlan:
        assert evidence is not None  # noqa: S101 - `plan` has checked it
        places = _places(model)
        seen = activations(model, places, evidence.images)
        costs, total = _operations(model, places, evidence.images[:1])
        added = sum(2 * maxima.shape[1] * masses.shape[1] for maxima, masses in seen.values())

        def left(share: float) -> float:
            spared = sum(
                costs[name] * (1 - float(_worth(masses, share).float().mean()))
                for name, (_, masses) in seen.items()
            )
            return (total + added - spared) / total

        if keep == 1:
            return FilterPlan({}, 1.0)
        low, high = 0.0, 1.0
        if left(low) > keep:
            raise CompressError(
                f"with one filter of each layer {left(low):.1%} of the operations are left, not "
                f"{keep:.1%}; keep more, or use a compressor with the trait channels"
            )
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if left(middle) <= keep else (low, middle)
        predictors = {}
        for name, (maxima, masses) in seen.items():
            predictors[name] = _fitted(maxima, _worth(masses, low))
        small = FilterPlan(predictors, 1.0).apply(model)
        counted = [count_flops(small, image[None]) for image in evidence.images[:_COUNTED]]
        return FilterPlan(predictors, sum(counted) / len(counted) / total)


def _places(model: nn.Module) -> list[str]:
    """Names of convolutions that a normalisation and a rectifier follow in a sequence.

    Raises:
        CompressError: there are none.
    """
    found = []
    for name, parent in model.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        layers = list(parent)
        for place, (conv, norm, act) in enumerate(
            zip(layers, layers[1:], layers[2:], strict=False)
        ):
            fits = isinstance(norm, nn.BatchNorm2d) and isinstance(act, nn.ReLU | nn.ReLU6)
            if fits and isinstance(conv, nn.Conv2d) and conv.groups == 1:
                found.append(f"{name}.{place}" if name else str(place))
    if not found:
        raise CompressError(
            "no convolution of the network is followed by a normalisation and a rectifier; use "
            "another compressor"
        )
    return found


@torch.no_grad()
def activations(
    model: nn.Module, places: list[str], images: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each place, maxima of the inputs ``(b, in)`` and shares of mass ``(b, out)``."""
    maxima, masses, hooks = {}, {}, []
    for name in places:
        parent, _, place = name.rpartition(".")
        conv = model.get_submodule(name)
        act = model.get_submodule(f"{parent}.{int(place) + 2}" if parent else str(int(place) + 2))

        def before(module: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
            maxima[name] = inputs[0].amax(dim=(2, 3))

        def after(
            module: nn.Module, inputs: tuple[Tensor], output: Tensor, name: str = name
        ) -> None:
            mass = output.sum(dim=(2, 3))
            masses[name] = mass / mass.sum(dim=1, keepdim=True).clamp_min(1e-12)

        hooks += [conv.register_forward_pre_hook(before), act.register_forward_hook(after)]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (maxima[name], masses[name]) for name in places}


def _worth(masses: Tensor, share: float) -> Tensor:
    """Filters of each image that are worth running, ``(b, out)`` bool; at least one."""
    falling, order = masses.sort(dim=1, descending=True, stable=True)
    before = falling.cumsum(dim=1) - falling
    wanted = before < share
    wanted[:, 0] = True
    return torch.zeros_like(wanted).scatter(1, order, wanted)


def _fitted(maxima: Tensor, worth: Tensor) -> tuple[Tensor, Tensor]:
    """A linear predictor ``(out, in)`` and its bias, which runs as many filters as are worth it."""
    mean, spread = maxima.mean(dim=0), maxima.std(dim=0).clamp_min(1e-6)
    inputs, target = (maxima - mean) / spread, worth.float()
    layer = nn.Linear(inputs.shape[1], target.shape[1])
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(layer.parameters(), lr=_RATE, weight_decay=1e-3)
    with torch.enable_grad():
        for _ in range(_STEPS):
            loss = functional.binary_cross_entropy_with_logits(layer(inputs), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        weight = layer.weight / spread
        bias = layer.bias - weight @ mean
        logits = functional.linear(maxima, weight, bias).flatten()
        count = int(worth.sum())
        falling = logits.sort(descending=True).values
        if count < len(falling):
            bias = bias - (falling[count - 1] + falling[count]) / 2
        else:
            bias = bias + 1 - falling[-1]
    return weight.detach(), bias.detach()


@torch.no_grad()
def _operations(model: nn.Module, places: list[str], image: Tensor) -> tuple[dict[str, int], int]:
    """Operations of each place, and of all, in one pass."""
    counter = FlopCounterMode(display=False)
    with counter:
        model(image)
    counts, top = counter.get_flop_counts(), type(model).__name__
    costs = {name: sum(counts.get(f"{top}.{name}", {}).values()) for name in places}
    return costs, int(counter.get_total_flops())
