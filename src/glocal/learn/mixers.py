"""Token mixers compared in one architecture: what each of them, and nothing else, makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm

Make = Callable[[int], nn.Module]
ENERGY = 0.9
_TURN, _SCALE, _SHIFT = 15.0, 0.8, 0.125


@dataclass(frozen=True, slots=True)
class MixerReport:
    """What was measured of one mixer.

    Attributes:
        accuracy: Share of images, from 0 to 1, whose class is told rightly.
        field: Side of the square around a cell of the last map that holds 90 % of the squared
            gradient of that cell, in parts of the image's side.
        kept: Share of images whose class stays the same where the image is changed: ``shift`` by an
            eighth of its side, ``turn`` by 15 degrees, ``scale`` to .8 of its size; mean of both
            directions of each, the smaller one only of the scale.
        parameters: Of the mixers alone.
    """

    accuracy: float
    field: float
    kept: Mapping[str, float]
    parameters: int


class UnifiedNetwork(nn.Module):
    """A classifier in which all but the token mixer is fixed.

    A stem of overlapping convolutions leads to a stride of 2; each stage has blocks
    ``x + mixer(norm(x))``, ``x + mlp(norm(x))``, and a strided convolution leads to the next one.

    Source: Hu et al., Demystify Transformers & Convolutions in Modern Image Deep Networks, 2022.

    Deviations: it is small, for small images; the paper's are of four stages, and far larger.

    Args:
        mixer: Makes a mixer of a width: from ``(b, width, h, w)`` to the same shape.
        classes: Number of classes.
        widths: Channels of each stage.
        depth: Blocks of each stage.
    """

    def __init__(
        self, mixer: Make, classes: int, *, widths: tuple[int, ...] = (32,), depth: int = 2
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.mixers = nn.ModuleList()
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, 2, 1), ChannelNorm(width)]
            for _ in range(depth):
                mixing = mixer(width)
                self.mixers.append(mixing)
                mlp = nn.Sequential(
                    CellLinear(width, 4 * width), nn.GELU(), CellLinear(4 * width, width)
                )
                layers += [_Branch(width, mixing), _Branch(width, mlp)]
            before = width
        self.body = nn.Sequential(*layers, ChannelNorm(before))
        self.linear = nn.Linear(before, classes)

    def maps(self, images: Tensor) -> Tensor:
        """The last feature map ``(b, width, h, w)`` of images ``(b, 3, h, w)`` in [0, 1]."""
        found: Tensor = self.body(images * 2 - 1)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(b, classes)``."""
        scores: Tensor = self.linear(self.maps(images).mean(dim=(2, 3)))
        return scores


class _Branch(nn.Module):
    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer = ChannelNorm(width), layer

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(self.norm(x))
        if found.shape != x.shape:
            raise LearnError(
                f"a mixer makes maps {tuple(found.shape)} of maps {tuple(x.shape)}; give one that "
                "keeps their shape"
            )
        return x + found


def study_mixers(
    mixers: Mapping[str, Make],
    train: Callable[[nn.Module], None],
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    widths: tuple[int, ...] = (32,),
    depth: int = 2,
    seed: int = 0,
) -> dict[str, MixerReport]:
    """Put each mixer into the same network, train it, and report what it does.

    What is not a mixer begins with the same weights in each, so that differences between reports
    are those of the mixers, and of what a training makes of them.

    Source: Hu et al., Demystify Transformers & Convolutions in Modern Image Deep Networks, 2022.

    Deviations: those of `UnifiedNetwork`. The receptive field is the side of a square around one
    cell in the middle, of a hundred images at most.

    Args:
        mixers: By name, what makes a mixer of a width, such as a block of the role ``mixer``.
        train: Trains a network in place, the same way each time; it takes images ``(b, 3, h, w)``
            in [0, 1] to scores ``(b, classes)``.
        images: ``(n, 3, h, w)`` float in [0, 1], not those of the training.
        labels: ``(n,)`` int64.
        classes: Number of classes.
        widths: See `UnifiedNetwork`.
        depth: See `UnifiedNetwork`.
        seed: Of the weights.

    Raises:
        LearnError: There is no mixer or no image, or a mixer changes the shape of a map.
    """
    if not mixers or images.ndim != 4 or not len(images) or labels.shape != images.shape[:1]:
        raise LearnError(
            f"{len(mixers)} mixers cannot be compared on images {tuple(images.shape)} with labels "
            f"{tuple(labels.shape)}; give one mixer or more, (n, 3, h, w) and (n,)"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain = UnifiedNetwork(lambda _: nn.Identity(), classes, widths=widths, depth=depth)
    reports = {}
    for name, make in mixers.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = UnifiedNetwork(make, classes, widths=widths, depth=depth).eval()
        own = dict(network.named_parameters())
        with torch.no_grad():
            for key, value in plain.named_parameters():
                own[key].copy_(value)
            try:
                network(images[:1])
            except RuntimeError as error:
                raise LearnError(
                    f"the mixer {name!r} does not fit maps of widths {widths}: {error}"
                ) from error
        network.train()
        train(network)
        network.eval()
        parameters = sum(each.numel() for each in network.mixers.parameters())
        reports[name] = _report(network, images, labels, parameters)
    return reports


@torch.no_grad()
def _report(
    network: UnifiedNetwork, images: Tensor, labels: Tensor, parameters: int
) -> MixerReport:
    said = _classes(network, images)
    changes = {
        "shift": [
            (0.0, 1.0, x, y) for x, y in ((_SHIFT, 0), (-_SHIFT, 0), (0, _SHIFT), (0, -_SHIFT))
        ],
        "turn": [(_TURN, 1.0, 0.0, 0.0), (-_TURN, 1.0, 0.0, 0.0)],
        "scale": [(0.0, _SCALE, 0.0, 0.0)],
    }
    kept = {
        name: sum(
            float((_classes(network, moved(images, *each)) == said).float().mean()) for each in ways
        )
        / len(ways)
        for name, ways in changes.items()
    }
    accuracy = float((said == labels).float().mean())
    return MixerReport(accuracy, receptive_field(network, images[:100]), kept, parameters)


def _classes(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(each).argmax(dim=1) for each in images.split(256)])


def moved(images: Tensor, turn: float, scale: float, right: float, down: float) -> Tensor:
    """Images turned, made smaller or larger about their middle, and shifted.

    Args:
        images: ``(n, c, h, w)``; what comes into view continues the border.
        turn: Degrees.
        scale: Of the image's content; 1 leaves it.
        right: Shift in parts of the width.
        down: Shift in parts of the height.
    """
    angle = torch.deg2rad(torch.tensor(turn))
    cosine, sine = (float(each) / scale for each in (angle.cos(), angle.sin()))
    matrix = torch.tensor(
        [
            [cosine, sine, -2 * (cosine * right + sine * down)],
            [-sine, cosine, -2 * (cosine * down - sine * right)],
        ]
    )
    grid = functional.affine_grid(
        matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def receptive_field(network: UnifiedNetwork, images: Tensor) -> float:
    """Side of the square that holds 90 % of a cell's squared gradient; see `MixerReport`."""
    with torch.enable_grad():
        seen = images.detach().clone().requires_grad_()
        maps = network.maps(seen)
        row, column = maps.shape[2] // 2, maps.shape[3] // 2
        (gradient,) = torch.autograd.grad(maps[:, :, row, column].square().sum(), seen)
    energy = gradient.square().sum(dim=1)
    energy = (energy / energy.sum(dim=(1, 2), keepdim=True).clamp(min=1e-30)).mean(dim=0)
    height, width = energy.shape
    # Distance of each pixel from the cell's centre, in parts of the side.
    down = ((torch.arange(height) + 0.5) / height - (row + 0.5) / maps.shape[2]).abs()
    right = ((torch.arange(width) + 0.5) / width - (column + 0.5) / maps.shape[3]).abs()
    apart = torch.maximum(down[:, None], right[None]).flatten()
    order = apart.argsort()
    inside = energy.flatten()[order].cumsum(0)
    at = int((inside < ENERGY * float(inside[-1])).sum())
    return min(1.0, 2 * float(apart[order][min(at, len(order) - 1)]) + 1 / max(height, width))
