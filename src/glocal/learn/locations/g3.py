"""G3: images, positions and texts in one space; candidates are retrieved, supplied and verified."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.locations.fourier import FourierEncoder
from glocal.learn.locations.harmonics import directions


class G3(nn.Module):
    """Geo-alignment, geo-diversification and geo-verification.

    Jia, Liu, Fu, Yang, Gao, Guo and Zhao, G3: An Effective and Adaptive Framework for Worldwide
    Geolocalization Using Large Multi-Modality Models, NeurIPS 2024. Geo-alignment trains
    projections of the image for each of the other two, f_gps(v) and f_text(v), by the sum of two
    contrastive losses, both ways: image to position and image to text. An image of the database is
    retrieved by the three concatenated, [v, f_gps(v), f_text(v)]. Candidates are the positions of
    what is retrieved and further ones that are supplied; the one whose encoded position is nearest
    to f_gps(v) is taken.

    Deviations: the authors supply candidates by a large multi-modality model that is prompted with
    different numbers of retrieved positions as references; here whoever calls supplies them, and
    `consensus` makes the middles of so many retrieved positions, which needs no such model. Image
    and text vectors are given, and heads of two layers stand over them.

    Args:
        image_width: Length of the image vectors that are given.
        text_width: Length of the text vectors that are given.
        width: Length of the vectors in common.
        hidden: Width of the heads.
        locations: Location encoder; `None` for GeoCLIP's, as the authors use.
    """

    def __init__(
        self,
        image_width: int,
        text_width: int,
        *,
        width: int = 64,
        hidden: int = 256,
        locations: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.to_positions = _head(image_width, hidden, width)
        self.to_texts = _head(image_width, hidden, width)
        self.texts = _head(text_width, hidden, width)
        self.locations = FourierEncoder(width) if locations is None else locations
        self.log_scale = nn.Parameter(torch.full((2,), 1 / 0.07).log())

    def forward(self, images: Tensor, positions: Tensor, texts: Tensor) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            images: ``(n, image_width)``.
            positions: ``(n, 2)`` latitudes and longitudes in degrees.
            texts: ``(n, text_width)``.
        """
        scale = self.log_scale.clamp(max=4.6).exp()
        by_position = self.image_for_positions(images) @ self.encode_positions(positions).T
        by_text = functional.normalize(self.to_texts(images), dim=-1) @ self._texts(texts).T
        return _both_ways(scale[0] * by_position) + _both_ways(scale[1] * by_text)

    def _texts(self, texts: Tensor) -> Tensor:
        return functional.normalize(self.texts(texts), dim=-1)

    def image_for_positions(self, images: Tensor) -> Tensor:
        """f_gps: take ``(n, image_width)`` to ``(n, width)`` of unit length."""
        return functional.normalize(self.to_positions(images), dim=-1)

    def encode_positions(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` degrees to ``(n, width)`` of unit length."""
        return functional.normalize(self.locations(positions), dim=-1)

    def retrieval_vectors(self, images: Tensor) -> Tensor:
        """What images are retrieved by: ``(n, image_width + 2 * width)``, three of equal length."""
        parts = (images, self.to_positions(images), self.to_texts(images))
        return torch.cat([functional.normalize(part, dim=-1) for part in parts], -1)

    def verify(self, images: Tensor, candidates: Tensor) -> Tensor:
        """The candidate of each image that fits it best.

        Args:
            images: ``(n, image_width)``.
            candidates: ``(n, k, 2)`` degrees, for each image its own.

        Returns:
            ``(n,)`` int64, rows of the candidates.
        """
        count, each, _ = candidates.shape
        encoded = self.encode_positions(candidates.reshape(-1, 2)).reshape(count, each, -1)
        scores = (encoded * self.image_for_positions(images)[:, None]).sum(-1)
        return scores.argmax(1)


def consensus(retrieved: Tensor, counts: Sequence[int]) -> Tensor:
    """Candidates to be supplied: the middles of the first retrieved positions, on the sphere.

    Args:
        retrieved: ``(n, k, 2)`` degrees, the best first.
        counts: Of how many; each gives one candidate.

    Returns:
        ``(n, len(counts), 2)`` degrees.
    """
    points = directions(retrieved.reshape(-1, 2)).reshape(*retrieved.shape[:2], 3)
    made = []
    for count in counts:
        x, y, z = points[:, :count].sum(1).unbind(-1)
        made.append(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], -1))
    return torch.rad2deg(torch.stack(made, 1))


def _head(inputs: int, hidden: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _both_ways(scores: Tensor) -> Tensor:
    rows = torch.arange(len(scores))
    one, other = functional.cross_entropy(scores, rows), functional.cross_entropy(scores.T, rows)
    return (one + other) / 2
