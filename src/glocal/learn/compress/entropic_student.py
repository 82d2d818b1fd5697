"""Entropic Student: a device sends few bytes of features, and a server continues the network."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import CompressError, MissingExtraError
from glocal.learn import INSTALL
from glocal.learn.compress.factorized_prior import FactorizedPrior

_MOST = 63  # numbers sent are from -63 to 63
_CELLS = 1 << 16  # of one image, at most
_HEADER = struct.Struct("<HH")  # height and width in cells


class EntropicStudent(nn.Module):
    """A bottleneck whose numbers are sent as an entropy-coded string of bytes.

    The device computes ``z = f(x)`` by a few strided convolutions and rounds it; the server has
    ``h = g(z)``, which stands for the feature map ``h_t`` that a trained network, the teacher, has
    at one of its levels, and continues with the teacher's own next layers. While it learns, uniform
    noise stands for rounding, and a prior ``p`` of each channel learns how probable numbers are:

        ``L = ‖g(z + u) - h_t‖² / var(h_t) + β (-log₂ p(z + u))``

    with the bits counted for each pixel. By β, bytes are paid for with accuracy. `fix_prior` turns
    the prior into tables, by which a range coder (the package constriction) encodes and decodes:
    device and server need the same ``state_dict``.

    Source: Matsubara, Yang, Levorato and Mandt, Supervised Compression for Resource-Constrained
    Edge Computing Systems, 2022.

    Deviations: the teacher is imitated at one level, the one that the server continues from. The
    paper's second stage, which trains the server's part on with labels while the device's stays, is
    left to the user: freeze `device` and `prior`. Numbers beyond ±63 are sent as ±63.

    Args:
        width: channels of the teacher's feature map.
        stride: its stride in pixels, a power of two from 4.
        channels: channels of the bottleneck.
        hidden: channels of the layers before and after it.

    Attributes:
        device: ``(b, 3, h, w)`` in [0, 1] to ``(b, channels, h / stride, w / stride)``.
        server: from there to ``(b, width, h / stride, w / stride)``.
        prior: probabilities of the numbers between them.

    Raises:
        CompressError: a size is impossible.
    """

    table: Tensor

    def __init__(self, width: int, stride: int, *, channels: int = 12, hidden: int = 32) -> None:
        super().__init__()
        if min(width, channels, hidden) < 1:
            raise CompressError(
                "width, channels and hidden have to be at least 1, not "
                f"{width!r}, {channels!r} and {hidden!r}"
            )
        halvings = int(math.log2(stride)) if stride > 0 else 0
        if stride != 1 << halvings or not 4 <= stride <= 64:
            raise CompressError(f"the stride has to be a power of two from 4 to 64, not {stride!r}")
        self.width, self.stride, self.channels = width, stride, channels
        layers: list[nn.Module] = []
        before = 3
        for _ in range(halvings - 1):
            layers += [nn.Conv2d(before, hidden, 5, 2, 2), DivisiveNorm(hidden)]
            before = hidden
        self.device = nn.Sequential(*layers, nn.Conv2d(before, channels, 3, 2, 1))
        self.server = nn.Sequential(
            nn.Conv2d(channels, hidden * 2, 3, padding=1),
            DivisiveNorm(hidden * 2, inverse=True),
            nn.Conv2d(hidden * 2, hidden * 2, 3, padding=1),
            DivisiveNorm(hidden * 2, inverse=True),
            nn.Conv2d(hidden * 2, width, 3, padding=1),
        )
        self.prior = FactorizedPrior(channels)
        self.register_buffer("table", torch.zeros(channels, 2 * _MOST + 1, dtype=torch.double))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What the server has, and what it took to send.

        Args:
            image: ``(b, 3, h, w)`` float in [0, 1], sides multiples of the stride.

        Returns:
            The features ``(b, width, h / stride, w / stride)`` and the bits of each image ``(b,)``,
            as the prior expects them. In training mode numbers have noise, else they are rounded.
        """
        sent = self._bottleneck(image)
        sent = sent + torch.rand_like(sent) - 0.5 if self.training else _rounded(sent)
        bits = -self.prior(sent).log2().flatten(1).sum(dim=1)
        return self.server(sent), bits

    def loss(self, image: Tensor, wanted: Tensor, beta: float) -> Tensor:
        """What training makes small: the distance to the teacher, and β times the bits per pixel.

        Args:
            image: ``(b, 3, h, w)``.
            wanted: the teacher's feature map ``(b, width, h / stride, w / stride)``.
            beta: price of a bit per pixel, at least 0.

        Raises:
            CompressError: shapes do not fit.
        """
        features, bits = self(image)
        if features.shape != wanted.shape:
            raise CompressError(
                f"the teacher's map is {tuple(wanted.shape)} and the student's "
                f"{tuple(features.shape)}; use the width and the stride of the level"
            )
        apart = functional.mse_loss(features, wanted) / wanted.var().clamp_min(1e-12)
        found: Tensor = apart + beta * bits.mean() / (image.shape[2] * image.shape[3])
        return found

    def fix_prior(self) -> None:
        """Make the tables by which numbers are coded; again after each training."""
        self.table.copy_(self.prior.table(_MOST))

    @torch.no_grad()
    def numbers(self, image: Tensor) -> NDArray[np.int32]:
        """The rounded numbers of images, ``(b, channels, h / stride, w / stride)``."""
        found: NDArray[np.int32] = _rounded(self._bottleneck(image)).int().numpy()
        return found

    def send(self, image: Tensor) -> list[bytes]:
        """Strings of bytes of images ``(b, 3, h, w)`` in [0, 1], one of each.

        The first four bytes are the height and the width in cells.

        Raises:
            CompressError: `fix_prior` was not called, or the shape is wrong.
            MissingExtraError: constriction is not installed.
        """
        coding, models = _constriction(), self._models()
        found = []
        for each in self.numbers(image):
            encoder = coding.stream.queue.RangeEncoder()
            for row, model in zip(each.reshape(self.channels, -1), models, strict=True):
                encoder.encode(np.ascontiguousarray(row + _MOST), model)
            words = encoder.get_compressed().astype("<u4").tobytes()
            found.append(_HEADER.pack(*each.shape[1:]) + words)
        return found

    def received(self, strings: Sequence[bytes]) -> NDArray[np.int32]:
        """The numbers in strings of images of one size, ``(b, channels, h, w)`` in cells.

        Raises:
            CompressError: a string is damaged, sizes differ, or `fix_prior` was not called.
            MissingExtraError: constriction is not installed.
        """
        coding, models = _constriction(), self._models()
        sizes = {_size(string) for string in strings}
        if len(sizes) != 1:
            raise CompressError(f"strings of one size are needed, not of {len(sizes)}")
        height, width = sizes.pop()
        found = np.empty((len(strings), self.channels, height, width), np.int32)
        for number, string in enumerate(strings):
            words = np.frombuffer(string, "<u4", offset=_HEADER.size).astype(np.uint32)
            decoder = coding.stream.queue.RangeDecoder(words)
            try:
                rows = [decoder.decode(model, height * width) for model in models]
            except AssertionError as error:
                raise CompressError(f"string {number} is damaged; send it again") from error
            if not decoder.maybe_exhausted():
                raise CompressError(f"string {number} is longer than its image; send it again")
            found[number] = np.stack(rows).reshape(self.channels, height, width) - _MOST
        return found

    @torch.no_grad()
    def receive(self, strings: Sequence[bytes]) -> Tensor:
        """The features ``(b, width, h, w)`` in cells that strings stand for; see `received`."""
        found: Tensor = self.server(torch.from_numpy(self.received(strings)).to(self._dtype()))
        return found

    def _bottleneck(self, image: Tensor) -> Tensor:
        shape = tuple(image.shape)
        if len(shape) != 4 or shape[1] != 3 or any(side % self.stride for side in shape[2:]):
            raise CompressError(
                f"images have to be (b, 3, h, w) with sides that {self.stride} divides, not {shape}"
            )
        if not 0 < shape[2] * shape[3] // self.stride**2 <= _CELLS:
            raise CompressError(f"images have to have 1 to {_CELLS} cells, not those of {shape}")
        found: Tensor = self.device(image * 2 - 1)
        return found

    def _models(self) -> list[Any]:
        if not bool(self.table.any()):
            raise CompressError("there are no tables to code by; call fix_prior after training")
        model = _constriction().stream.model
        return [model.Categorical(row, perfect=False) for row in self.table.numpy()]

    def _dtype(self) -> torch.dtype:
        return next(self.server.parameters()).dtype


class DivisiveNorm(nn.Module):
    """Generalised divisive normalisation, simplified: ``y_i = x_i / (β_i + Σ_j γ_ij |x_j|)``.

    Source: Ballé, Laparra and Simoncelli, Density Modeling of Images Using a Generalized
    Normalization Transformation, 2016; with absolute values as Johnston, Eban, Gordon and Ballé,
    Computationally Efficient Neural Image Compression, 2019.

    Args:
        width: number of channels.
        inverse: multiply instead.
    """

    def __init__(self, width: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(width))
        self.gamma = nn.Parameter(0.1 * torch.eye(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(b, width, h, w)``."""
        gamma, beta = self.gamma.abs()[:, :, None, None], self.beta.abs() + 1e-6
        norm = functional.conv2d(x.abs(), gamma, beta)
        return x * norm if self.inverse else x / norm


def teach(
    student: EntropicStudent,
    images: Tensor,
    wanted: Tensor,
    *,
    beta: float,
    steps: int,
    batch: int = 32,
    lr: float = 2e-3,
    seed: int = 0,
) -> None:
    """Train a student on a teacher's feature maps, in place, without labels, and fix its prior.

    Args:
        student: it is in evaluation mode afterwards.
        images: ``(n, 3, h, w)`` float in [0, 1].
        wanted: the teacher's maps of them, ``(n, width, h / stride, w / stride)``.
        beta: price of a bit per pixel.
        steps: number of steps; Adam, the rate in one cycle, ten times as high for the prior.
        batch: images in a step.
        lr: highest learning rate.
        seed: seed of the batches; the noise is torch's own.

    Raises:
        CompressError: settings or shapes do not fit.
    """
    if len(images) != len(wanted) or not len(images):
        raise CompressError(f"{len(images)} images need as many maps, not {len(wanted)}")
    if steps < 1 or batch < 1 or lr <= 0 or beta < 0:
        raise CompressError(
            "steps and batch have to be at least 1, lr above 0 and beta at least 0, not "
            f"{steps!r}, {batch!r}, {lr!r} and {beta!r}"
        )
    generator = torch.Generator().manual_seed(seed)
    prior = {id(each) for each in student.prior.parameters()}
    groups = [
        {"params": [p for p in student.parameters() if p.requires_grad and id(p) not in prior]},
        {"params": [p for p in student.prior.parameters() if p.requires_grad]},
    ]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], lr=lr)
    rates = [lr, 10 * lr][: len(optimizer.param_groups)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=max(steps, 2))
    student.train()
    for _ in range(steps):
        chosen = torch.randperm(len(images), generator=generator)[:batch]
        loss = student.loss(images[chosen], wanted[chosen], beta)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    student.eval()
    student.fix_prior()


def _rounded(values: Tensor) -> Tensor:
    return values.round().clamp(-_MOST, _MOST)


def _size(string: bytes) -> tuple[int, int]:
    """Height and width in cells of an image's string."""
    if len(string) < _HEADER.size or (len(string) - _HEADER.size) % 4:
        raise CompressError(f"a string of {len(string)} bytes is damaged; send it again")
    height, width = _HEADER.unpack_from(string)
    if not 0 < height * width <= _CELLS:
        raise CompressError(
            f"a string is of {height}x{width} cells, and 1 to {_CELLS} are possible; send it again"
        )
    return height, width


def _constriction() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise MissingExtraError(f"coding features needs constriction: {INSTALL}") from error
    return constriction
