"""A network over spherical harmonics tells what a place looks like from above, by its coordinates.

The image vectors are tiles of NASA's Blue Marble of 4 x 4 pixels, a toy; a quarter of the regions
is held out whole. Both sides have the same hidden layers and the same number of steps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from glocal.learn.locations.harmonics import HarmonicEncoder, spherical_harmonics
from glocal.learn.locations.sine_cosine import SineCosineEncoder
from glocal.trials import Claim, Lab, geography

CLAIM = Claim(
    measured="variance of image vectors of held-out regions, explained by a harmonic encoder",
    baseline="variance explained by sines and cosines of both angles, and a rectified network",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=5,
)
_PLACES, _STEPS, _BATCH = 3_000, 400, 256


def method(lab: Lab) -> float:
    """Spherical harmonics of 16 degrees, and a SirenNet."""
    data = _data(lab)
    encoder = _trained(lab, HarmonicEncoder(data.vectors.shape[1], degrees=16), data)
    # Along a circle of 11 km around the pole a smooth function of the sphere hardly changes.
    lab.check("deviation around the pole, of that of all places", _at_pole(encoder), "<", 0.02)
    lab.check("largest fault of orthonormality", _fault(lab), "<", 1e-9)
    return _explained(encoder, data)


def baseline(lab: Lab) -> float:
    """Sines and cosines at 16 scales, whose settings are those of the paper's grid."""
    data = _data(lab)
    encoder = SineCosineEncoder(data.vectors.shape[1], scales=16, finest=0.1)
    return _explained(_trained(lab, encoder, data), data)


class _Data:
    """Places, their tiles in standard deviations, and which are held out."""

    def __init__(self, places: np.ndarray, vectors: np.ndarray, out: np.ndarray) -> None:
        mean, deviation = vectors[~out].mean(0), vectors[~out].std()
        self.places = torch.tensor(places, dtype=torch.float32)
        self.vectors = torch.tensor((vectors - mean) / deviation, dtype=torch.float32)
        self.train = torch.tensor(np.flatnonzero(~out))
        self.test = torch.tensor(np.flatnonzero(out))


def _data(lab: Lab) -> _Data:
    random = lab.random()
    places = geography.positions(random, _PLACES)
    out = geography.held_out(places, random, 0.25)
    return _Data(places, geography.tiles(places, 4, 4.0, ("bmng",)), out)


def _trained(lab: Lab, encoder: nn.Module, data: _Data) -> nn.Module:
    optimizer = torch.optim.Adam(encoder.parameters(), 2e-3)
    drawn = torch.Generator().manual_seed(lab.seed)
    for _ in range(lab.steps(_STEPS)):
        rows = data.train[torch.randint(len(data.train), (_BATCH,), generator=drawn)]
        loss = (encoder(data.places[rows]) - data.vectors[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder.eval()


def _explained(encoder: nn.Module, data: _Data) -> float:
    """Share of the held-out vectors' variance, in points."""
    with torch.no_grad():
        fault = (encoder(data.places[data.test]) - data.vectors[data.test]).square().mean()
    return 100 * float(1 - fault / data.vectors[data.test].square().mean())


def _at_pole(encoder: nn.Module) -> float:
    longitude = torch.arange(-180.0, 180.0, 5.0)
    ring = torch.stack([torch.full_like(longitude, 89.9), longitude], 1)
    with torch.no_grad():
        found: Tensor = encoder(ring)
    return float(found.std(0).mean())


def _fault(lab: Lab) -> float:
    """Harmonics are orthonormal over the sphere: an exact quadrature gives the identity."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    turn = lab.random().uniform(0, 10)
    longitudes = np.arange(32) * 360 / 32 - 180 + turn
    grid = np.stack(np.meshgrid(np.degrees(np.arcsin(nodes)), longitudes, indexing="ij"), -1)
    found = spherical_harmonics(torch.tensor(grid.reshape(-1, 2)), 16).numpy()
    each = np.repeat(weights, 32) * 2 * np.pi / 32
    return float(np.abs(found.T @ (each[:, None] * found) - np.eye(256)).max())
