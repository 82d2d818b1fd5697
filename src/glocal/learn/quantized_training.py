"""Train the weights of a model that is to be quantised so that its bytes give what floats gave.

The quantised part of the network runs twice, in float with the weights it came with and with
rounded weights and activations; the gradient passes through the rounding as if there were none
(Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013). What is
learned is that both agree where the part ends and at each sum of its residual stream. The model
comes as ONNX, so that no code of its network is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.file_layers import FileLayers
from glocal.learn.quantization import Images, Plan, with_weights
from glocal.learn.teaching import Teaching, squares

LR = 2e-5
BATCH = 12
SIDE = 256
_WARM = 10


class Network(FileLayers):
    """The layers of a plan, in float or as they will be in bytes.

    Args:
        plan: of convolutions, sums and activations only.
        rounded: whether weights and activations are rounded.

    Raises:
        LearnError: there are other layers in it.
    """

    def __init__(self, plan: Plan, *, rounded: bool) -> None:
        super().__init__(plan.model, plan.nodes, "agree in int8 (leave --steps out)")
        self._rounded, self._ranges = rounded, plan.ranges
        clipped = {node.input[0] for node in plan.nodes if node.op_type in ("Clip", "Relu")}
        made = {name for node in plan.nodes for name in node.output}
        self._bytes = (made | set(self.given)) - clipped  # an activation's limits are a range's

    def _kept(self, name: str, value: Tensor) -> Tensor:
        if not self._rounded or name not in self._bytes:
            return value
        low, high = self._ranges[name]
        step = (high - low) / 255
        return torch.fake_quantize_per_tensor_affine(value, step, round(-low / step), 0, 255)

    def _applied(self, layer: Any, given: Tensor) -> Tensor:
        if not self._rounded:
            return super()._applied(layer, given)
        steps = (layer.weight.detach().flatten(1).abs().amax(1) / 127).clamp_min(1e-8)
        zero = torch.zeros(len(steps), dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(layer.weight, steps, zero, 0, -127, 127)
        return functional.conv2d(
            given,
            weight,
            layer.bias,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
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
    student = Network(plan, rounded=True)
    batches = squares(images, batch=BATCH, side=SIDE, seed=seed)
    teaching = Teaching(student, plan.model, lr=LR, warm=_WARM)
    for number in range(steps):
        listen(number + 1, teaching.step(next(batches), steps))
    return with_weights(plan, student.weights())
