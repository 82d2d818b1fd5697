"""GeoCLIP's location encoder: random Fourier features of a map of equal areas, at many scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_A = (1.340264, -0.081106, 0.000893, 0.003796)
_SCALE = 66.50336 / 180  # the authors' scaling of the map


def equal_earth(positions: Tensor) -> Tensor:
    """The Equal Earth projection (Šavrič, Patterson and Jenny 2018), as GeoCLIP scales it.

    Args:
        positions: ``(n, 2)`` latitudes and longitudes in degrees.

    Returns:
        ``(n, 2)``: x and y, both in about [-1, 1].
    """
    latitude, longitude = (positions * (math.pi / 180)).unbind(-1)
    theta = torch.asin((math.sqrt(3) / 2 * torch.sin(latitude)).clamp(-1, 1))
    square = theta * theta
    sixth = square**3
    slope = 9 * _A[3] * sixth * square + 7 * _A[2] * sixth + 3 * _A[1] * square + _A[0]
    x = 2 * math.sqrt(3) * longitude * torch.cos(theta) / (3 * slope)
    y = theta * (_A[3] * sixth * square + _A[2] * sixth + _A[1] * square + _A[0])
    return _SCALE * torch.stack([x, y], -1)


class FourierEncoder(nn.Module):
    """Random Fourier features at a hierarchy of scales, each with a network; their sum.

    Vivanco Cepeda, Nayak and Shah, GeoCLIP: Clip-Inspired Alignment between Locations and Images
    for Effective Worldwide Geo-localization, NeurIPS 2023: L(G) = sum_i f_i(gamma(EEP(G), sigma_i))
    with gamma(v) = (cos 2 pi R v, sin 2 pi R v), R drawn from N(0, sigma_i^2), and sigma_i from
    2^0 to 2^8; EEP is the Equal Earth projection.

    Deviations: sizes are smaller (the authors have 256 frequencies, hidden layers of 1,024 and
    vectors of 512), the scales end at 2^4 by default and each network has two hidden layers.

    Args:
        width: Length of the vectors.
        scales: sigma_i.
        frequencies: Rows of R, at each scale.
        hidden: Width of each network.
    """

    def __init__(
        self,
        width: int,
        *,
        scales: Sequence[float] = (1.0, 4.0, 16.0),
        frequencies: int = 64,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        drawn = [scale * torch.randn(2, frequencies) for scale in scales]
        self.register_buffer("directions", torch.stack(drawn))
        self.networks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * frequencies, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, width),
            )
            for _ in scales
        )

    def forward(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` degrees to ``(n, width)``."""
        places = equal_earth(positions)
        total: Tensor | None = None
        for number, network in enumerate(self.networks):
            angles = 2 * math.pi * places @ self.directions[number]  # type: ignore[index]
            made: Tensor = network(torch.cat([torch.cos(angles), torch.sin(angles)], -1))
            total = made if total is None else total + made
        assert total is not None  # noqa: S101 - there is a scale at least
        return total
