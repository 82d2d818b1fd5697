"""SNNK: random features stand in for a feed-forward layer."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class ScalableKernel(Block):
    """A scalable neural network kernel (Sehanobish et al., 2023) in the place of a 1x1 layer.

    A feed-forward layer computes ``f(w x + b)`` for each output. Here inputs and weights are
    disentangled: the output is the scalar product of features ``Phi(x)`` of the input alone and
        ``Psi(w, b)`` of the weights alone, both of length ``m``. ``Phi(x)`` are random features,
        ``relu(G x + u)`` with a fixed Gaussian ``G`` that is drawn and never learned, scaled by ``1
        / sqrt(m)``; the vectors ``Psi`` are learned, or found in closed form for a given layer by
        `fit`, as the paper's bundling does for the squared error. With ``m`` less than the inputs
        there are fewer learned parameters.

    Deviations: of the paper's instantiations it is the rectified one; ``Psi`` is not computed from
        ``w`` by universal random features but is the parameter itself, as in bundled networks.

    Args:
        width: inputs.
        out: outputs.
        stride: 1.
        features: number ``m`` of random features; None for half of `width`.

    Raises:
        LearnError: there are no features.
    """

    role: ClassVar[Role] = "mlp"
    widens: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        features: int | None = None,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        features = max(1, width // 2) if features is None else features
        if features < 1:
            raise LearnError(f"random features have to be 1 or more, not {features}")
        self.register_buffer("drawn", torch.randn(features, width) / width**0.5)
        self.register_buffer("shift", torch.randn(features))
        self.psi = nn.Conv2d(features, self.out, 1)

    def phi(self, x: Tensor) -> Tensor:
        """The random features ``(b, m, h, w)`` of the inputs."""
        drawn, shift = self.get_buffer("drawn"), self.get_buffer("shift")
        raised = functional.conv2d(x, drawn[:, :, None, None], shift).relu()
        return raised * drawn.shape[0] ** -0.5  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Scalar products of the features of the inputs and of the weights."""
        found: Tensor = self.psi(self.phi(x))
        return found

    @torch.no_grad()
    def fit(self, inputs: Tensor, outputs: Tensor) -> None:
        """Find ``Psi`` in closed form, so that the squared error is least.

        Args:
            inputs: ``(b, width, h, w)``.
            outputs: ``(b, out, h, w)`` of the layer to stand in for.
        """
        seen = self.phi(inputs).transpose(0, 1).flatten(1).T.double()
        wanted = outputs.transpose(0, 1).flatten(1).T.double()
        with_one = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
        ridge = 1e-6 * torch.eye(with_one.shape[1], dtype=torch.float64) * len(seen)
        found = torch.linalg.solve(with_one.T @ with_one + ridge, with_one.T @ wanted).float()
        self.psi.weight.copy_(found[:-1].T[:, :, None, None])
        assert self.psi.bias is not None  # noqa: S101 - it was made with one
        self.psi.bias.copy_(found[-1])
