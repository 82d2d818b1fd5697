"""Spherical harmonics: the sines and cosines of a sphere, without seam and without poles."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.locations.siren import SirenNet

MOST_DEGREES = 100


def directions(positions: Tensor) -> Tensor:
    """Points of the unit sphere, ``(n, 3)``, of ``(n, 2)`` latitudes and longitudes in degrees."""
    latitude, longitude = (positions * (math.pi / 180)).unbind(-1)
    ring = torch.cos(latitude)
    return torch.stack(
        [ring * torch.cos(longitude), ring * torch.sin(longitude), torch.sin(latitude)], -1
    )


def spherical_harmonics(positions: Tensor, degrees: int) -> Tensor:
    """The real, orthonormal spherical harmonics Y_l^m of degrees l below ``degrees``, closed form.

    Each is a polynomial in x, y and z: Y_l^m = q_l^m(z) times the real or imaginary part of
    (x + iy)^|m|, where q are the normalised associated Legendre functions without their factor
    sin^m, by the recurrence over l. Nothing is divided, so nothing happens at the poles.

    Args:
        positions: ``(n, 2)`` latitudes and longitudes in degrees.
        degrees: How many degrees, from 1 to `MOST_DEGREES`.

    Returns:
        ``(n, degrees ** 2)`` in the dtype of the positions: l = 0, 1, ..., each with m from -l
        (the imaginary part) to l.
    """
    x, y, z = directions(positions).unbind(-1)
    columns: dict[tuple[int, int], Tensor] = {}
    real, imaginary = torch.ones_like(x), torch.zeros_like(x)
    diagonal = math.sqrt(1 / (4 * math.pi))
    for m in range(degrees):
        if m:
            real, imaginary = x * real - y * imaginary, x * imaginary + y * real
            diagonal *= math.sqrt((2 * m + 1) / (2 * m))
        before, now = torch.zeros_like(z), torch.full_like(z, diagonal)
        for degree in range(m, degrees):
            if degree > m:
                up = math.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
                down = math.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
                before, now = now, up * (z * now - (down * before if degree > m + 1 else 0))
            if m == 0:
                columns[degree, 0] = now
            else:
                columns[degree, m] = math.sqrt(2) * now * real
                columns[degree, -m] = math.sqrt(2) * now * imaginary
    return torch.stack([columns[key] for key in sorted(columns)], -1)


class HarmonicEncoder(nn.Module):
    """Spherical harmonics and a SirenNet: SH(L) + SirenNet.

    Rußwurm, Klemmer, Rolf, Zbinden and Tuia, Geographic Location Encoding with Spherical Harmonics
    and Sinusoidal Representation Networks, ICLR 2024: y = NN(PE(lambda, phi)) with PE(lambda, phi)
    = Y_l^m(lambda, phi) for all l < L and -l <= m <= l, and NN a SirenNet.

    Deviations: the harmonics are evaluated as polynomials in x, y and z by their recurrence, where
    the authors' code has one generated formula for each; the SirenNet has no dropout.

    Args:
        width: Length of the vectors.
        degrees: L: the finest detail is about 20,000 km / L.
        hidden: Width of the SirenNet.
        layers: Its hidden layers.
        frequency: omega_0 of its first layer.

    Raises:
        LearnError: ``degrees`` is not from 1 to `MOST_DEGREES`.
    """

    def __init__(
        self,
        width: int,
        *,
        degrees: int = 16,
        hidden: int = 128,
        layers: int = 2,
        frequency: float = 1.0,
    ) -> None:
        super().__init__()
        if not 1 <= degrees <= MOST_DEGREES:
            raise LearnError(f"degrees is {degrees}; give 1 to {MOST_DEGREES}")
        self.degrees = degrees
        self.network = SirenNet(degrees**2, hidden, width, layers=layers, frequency=frequency)

    def forward(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` degrees to ``(n, width)``."""
        found: Tensor = self.network(spherical_harmonics(positions, self.degrees))
        return found
