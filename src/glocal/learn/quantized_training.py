"""Train the weights of a model that is to be quantised so that its bytes give what floats gave.

The quantised part of the network runs twice, in float with the weights it came with and with
rounded weights and activations; the gradient passes through the rounding as if there were none
(Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013). What is
learned is that both agree where the part ends and at each sum of its residual stream. The model
comes as ONNX, so that no code of its network is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.quantization import Images, Plan, constants, open_model, with_weights

LR = 2e-5
BATCH = 12
SIDE = 256
_WARM = 10


class Network(nn.Module):
    """The layers of a plan and those before them, in float or as they will be in bytes.

    Args:
        plan: of convolutions, sums and activations only.

    Raises:
        LearnError: there are other layers in it.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        nodes = {node.name: node for node in plan.nodes}
        other = {node.op_type for node in nodes.values()} - {"Conv", "Clip", "Relu", "Add"}
        if other:
            raise LearnError(
                f"only networks of convolutions can be trained for int8, and this one quantises "
                f"{', '.join(sorted(other))}; leave --steps out"
            )
        self._nodes, self._ranges = plan.nodes, plan.ranges
        known = constants(plan.model)
        self._weights = nn.ParameterDict()
        self._limits: dict[str, tuple[float | None, float | None]] = {}
        for node in plan.nodes:
            if node.op_type == "Conv":
                for name in node.input[1:]:
                    self._weights[_key(name)] = nn.Parameter(torch.from_numpy(known[name].copy()))
            elif node.op_type == "Clip":
                ends = [known[name] if name else None for name in (*node.input[1:], "", "")]
                low, high = (None if end is None else float(end) for end in ends[:2])
                self._limits[node.name] = low, high
        uses: dict[str, list[Any]] = {}
        for node in plan.model.graph.node:
            for name in node.input:
                uses.setdefault(name, []).append(node)
        made = {name for node in plan.nodes for name in node.output}
        self.given = sorted(
            {n for node in plan.nodes for n in node.input} - made - set(known) - {""}
        )
        clipped = {node.input[0] for node in plan.nodes if node.op_type in ("Clip", "Relu")}
        self._bytes = (made | set(self.given)) - clipped  # an activation's limits are a range's
        self.watched = [
            node.output[0]
            for node in plan.nodes
            if node.op_type == "Add"
            or any(user.name not in nodes for user in uses.get(node.output[0], []))
        ]
        self._attributes = {node.name: _attributes(node) for node in plan.nodes}

    def forward(self, given: dict[str, Tensor], *, rounded: bool) -> dict[str, Tensor]:
        """What the watched tensors hold, ``(n, c, h, w)`` each, for what the part is given."""
        found = {name: self._kept(name, value, rounded) for name, value in given.items()}
        for node in self._nodes:
            name, first = node.output[0], found[node.input[0]]
            if node.op_type == "Conv":
                value = self._convolved(node, first, rounded)
            elif node.op_type == "Add":
                value = first + found[node.input[1]]
            elif node.op_type == "Relu":
                value = first.relu()
            else:
                value = _limited(first, *self._limits[node.name])
            found[name] = self._kept(name, value, rounded)
        return {name: found[name] for name in self.watched}

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases by their names in the model."""
        names = {name for node in self._nodes if node.op_type == "Conv" for name in node.input[1:]}
        return {name: self._weights[_key(name)].detach().numpy() for name in names}

    def _kept(self, name: str, value: Tensor, rounded: bool) -> Tensor:
        if not rounded or name not in self._bytes:
            return value
        low, high = self._ranges[name]
        step = (high - low) / 255
        return torch.fake_quantize_per_tensor_affine(value, step, round(-low / step), 0, 255)

    def _convolved(self, node: Any, given: Tensor, rounded: bool) -> Tensor:
        weight, *bias = (self._weights[_key(name)] for name in node.input[1:])
        if rounded:
            steps = (weight.detach().flatten(1).abs().amax(1) / 127).clamp_min(1e-8)
            zero = torch.zeros(len(steps), dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(weight, steps, zero, 0, -127, 127)
        wanted = self._attributes[node.name]
        top, left, bottom, right = wanted["pads"]
        padded = functional.pad(given, (left, right, top, bottom))
        return functional.conv2d(
            padded,
            weight,
            bias[0] if bias else None,
            wanted["strides"],
            0,
            wanted["dilations"],
            wanted["group"],
        )


def train(
    plan: Plan,
    images: Images,
    *,
    steps: int,
    seed: int = 0,
    listen: Callable[[int, float], None] = lambda step, loss: None,
) -> Plan:
    """Train the weights of a plan.

    Args:
        plan: whose layers are convolutions.
        images: to train with, each ``(1, h, w, 3)`` uint8 as the model takes it; squares are cut
            out of them.
        steps: of training.
        seed: of what is cut out.
        listen: is told the number of each step and its loss.

    Returns:
        The same plan with the trained weights.

    Raises:
        LearnError: it has other layers, or its loss is no number.
    """
    teacher, student = Network(plan), Network(plan)
    before = open_model(plan.model, teacher.given)
    optimizer = torch.optim.Adam(student.parameters(), lr=LR)
    batches = _batches(images, seed)
    for step in range(steps):
        rate = LR * 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / _WARM)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = [before.run(teacher.given, {"image": image[None]}) for image in next(batches)]
        given = {
            name: _laid_out(np.concatenate([each[number] for each in batch]))
            for number, name in enumerate(teacher.given)
        }
        with torch.no_grad():
            wanted = teacher(given, rounded=False)
        loss = _difference(student(given, rounded=True), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reached = float(loss.detach())
        if not math.isfinite(reached):
            raise LearnError(f"after {step + 1} steps the loss is {reached}; leave --steps out")
        listen(step + 1, reached)
    return with_weights(plan, student.weights())


def _difference(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Squared error of each tensor relative to its power, and of what a pooling will see of it."""
    losses = []
    for name, target in wanted.items():
        power = target.square().mean().clamp_min(1e-12)
        losses.append((found[name] - target).square().mean() / power)
        pooled = [
            functional.normalize(each.clamp_min(1e-6).pow(3).mean((2, 3)).pow(1 / 3))
            for each in (found[name], target)
        ]
        losses.append(5 * (1 - (pooled[0] * pooled[1]).sum(1)).mean())
    return torch.stack(losses).sum() / len(wanted)


def _batches(images: Images, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Squares of images, half of them mirrored, ``(BATCH, SIDE, SIDE, 3)``, for ever."""
    rng = np.random.default_rng(seed)
    side = min(SIDE, *(min(image.shape[1:3]) for image in images))
    while True:
        squares = []
        for number in rng.integers(0, len(images), BATCH):
            image = images[number][0]
            y, x = (rng.integers(0, length - side + 1) for length in image.shape[:2])
            square = image[y : y + side, x : x + side]
            squares.append(square[:, ::-1] if rng.random() < 0.5 else square)
        yield np.stack(squares)


def _limited(value: Tensor, low: float | None, high: float | None) -> Tensor:
    if low is None or high is None:
        return value.clamp(low, high)
    return functional.hardtanh(value, low, high)  # a clamp's gradient takes several passes


def _laid_out(values: NDArray[np.float32]) -> Tensor:
    """With the channels of a pixel side by side, which convolutions channel by channel like."""
    found = torch.from_numpy(values)
    return found.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else found


def _key(name: str) -> str:
    return name.replace(".", "/")


def _attributes(node: Any) -> dict[str, Any]:
    """Strides, padding, dilations and groups of a convolution; those that ONNX leaves out too."""
    from onnx import helper

    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Conv" and given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise LearnError("only convolutions with explicit padding can be trained for int8")
    return {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1} | given
