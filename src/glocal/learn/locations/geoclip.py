"""GeoCLIP: images and positions in one space, so that an image retrieves positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.locations.fourier import FourierEncoder


class GeoClip(nn.Module):
    """An image encoder and a location encoder, aligned by contrast with a queue of positions.

    Vivanco Cepeda, Nayak and Shah, GeoCLIP: Clip-Inspired Alignment between Locations and Images
    for Effective Worldwide Geo-localization, NeurIPS 2023. For a batch of images V and positions L
    and a queue of S further positions the loss is the mean of -log exp(V_i L_i / tau) / (sum_j
    exp(V_i L_j / tau) + sum_q exp(V_i L_q / tau)), with unit vectors and a tau that is learnt. An
    image retrieves the position of a gallery whose vector is nearest to its own.

    Deviations: the image encoder is a head of two layers over vectors that are given (the authors
    have two layers over a frozen CLIP ViT-L/14); there is one view of each image, and positions of
    the queue are encoded anew in each step.

    Args:
        image_width: Length of the image vectors that are given.
        width: Length of the vectors in common.
        hidden: Width of the image head.
        queue: S, positions of earlier batches that count as negatives.
        noise_km: Deviation of the noise that is added to the positions in the queue, so that these
            are not learnt by heart.
        locations: Location encoder; `None` for GeoCLIP's own.
    """

    def __init__(
        self,
        image_width: int,
        *,
        width: int = 64,
        hidden: int = 256,
        queue: int = 1_024,
        noise_km: float = 100.0,
        locations: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.images = nn.Sequential(
            nn.Linear(image_width, hidden), nn.ReLU(), nn.Linear(hidden, width)
        )
        self.locations = FourierEncoder(width) if locations is None else locations
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        self.noise_degrees = noise_km / 111.0
        self.register_buffer("queue", torch.empty(0, 2))
        self.most = queue

    def encode_images(self, vectors: Tensor) -> Tensor:
        """Take ``(n, image_width)`` to ``(n, width)`` of unit length."""
        return functional.normalize(self.images(vectors), dim=-1)

    def encode_locations(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` latitudes and longitudes in degrees to ``(n, width)`` of unit length."""
        return functional.normalize(self.locations(positions), dim=-1)

    def forward(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """The loss of a batch, whose positions join the queue.

        Args:
            vectors: ``(n, image_width)``.
            positions: ``(n, 2)`` degrees, where each was taken.

        Returns:
            A scalar.
        """
        others = torch.cat([positions, self._from_queue()])
        scores = self.encode_images(vectors) @ self.encode_locations(others).T
        # As in CLIP the scale stays below 100.
        scores = scores * self.log_scale.clamp(max=4.6).exp()
        if self.training:
            self.queue = torch.cat([positions.detach(), self.queue])[: self.most]  # type: ignore[has-type]
        return functional.cross_entropy(scores, torch.arange(len(vectors)))

    def _from_queue(self) -> Tensor:
        noise = torch.randn_like(self.queue) * self.noise_degrees
        noise[:, 1] /= torch.cos(torch.deg2rad(self.queue[:, 0])).clamp(min=0.02)
        moved = self.queue + noise
        latitude = moved[:, 0].clamp(-90, 90)
        return torch.stack([latitude, (moved[:, 1] + 180) % 360 - 180], 1)


def train_geoclip(
    model: nn.Module,
    *data: Tensor,
    steps: int,
    batch: int = 256,
    rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Train a model whose ``forward`` is the loss of a batch, with Adam and a falling rate.

    Args:
        model: `GeoClip`, or another; left in its mode of evaluation.
        data: Tensors of ``n`` rows each, of which batches are drawn.
        steps: Number of batches.
        batch: Rows of each.
        rate: Of the first steps; it falls to 0 along a cosine.
        seed: Of the batches.

    Raises:
        LearnError: There is no data, or its lengths differ.
    """
    rows = {len(each) for each in data}
    if len(rows) != 1 or rows == {0}:
        raise LearnError(f"the data have {sorted(rows)} rows; give tensors of one length, above 0")
    drawn = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(data[0]), (batch,), generator=drawn)
        loss = model(*(each[chosen] for each in data))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
    model.eval()
