"""Fit what follows training: the final projection, local descriptors and keypoint positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.collection import Sample
from glocal.learn.evaluator import model_images
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.pooled import Pooled
from glocal.learn.model import Model
from glocal.learn.receptive import effective_offsets
from glocal.learn.settings import Settings
from glocal.registry import part

_WHITENING = 0.5  # power of the whitening: halfway, as in glocal's first model
_MOST_IMAGES = 1500  # per source; more hardly change the components
_CELL_STEP = 4  # every fourth cell is used: neighbouring cells are alike
_PROBED = 6  # images on which keypoint positions are measured
_PROBE_SIDE = 320

Read = Callable[[Sample], NDArray[np.uint8]]


def check_parts(settings: Settings) -> None:
    """Check that the head and the block can be exported, and the head whitened if it has to be.

    Raises:
        LearnError: it cannot.
    """
    made = part("head", settings.head).load()
    for kind, name in settings.parts().items():
        if kind in ("head", "block") and part(kind, name).load().fixed_size:
            raise LearnError(
                f"the graph of the {kind} {name} fits images of one size only, and glocal's "
                f"images come in all shapes; choose another {kind}"
            )
    if settings.final == "whitening" and not issubclass(made, Pooled):
        raise LearnError(
            f"--final whitening is fitted to pooled features, which the head {settings.head} does "
            "not have; use --final projection, or a head such as gem"
        )


def check_whitening(model: Model, samples: Sequence[Sample]) -> None:
    """Check that there are enough images to fit a whitening.

    Args:
        model: the model; only pooling heads have a whitening.
        samples: images to fit to.

    Raises:
        LearnError: there are too few, or the vector is longer than the pooled features.
    """
    whitening = model.head.whitening if isinstance(model.head, Pooled) else None
    if whitening is None:
        return
    width, dim = whitening.linear.in_features, whitening.linear.out_features
    if dim > width:
        raise LearnError(
            f"--dim {dim} is more than the {width} features that are whitened; use {width} or less"
        )
    if len(samples) < dim:
        raise LearnError(
            f"{len(samples)} images are too few to whiten {dim} dimensions; add images, or use a "
            "smaller --dim or --final projection"
        )


def choose_fitting(samples: Sequence[Sample], dim: int, seed: int) -> list[Sample]:
    """Choose images of the training split to fit to: at most 1500 of each source.

    No source outweighs the smallest by more than a factor of four, unless that would leave too few.

    Args:
        samples: all images of the training.
        dim: length of the vector.
        seed: seed of the choice.
    """
    random = np.random.default_rng([seed, 4])
    sources: dict[int, list[Sample]] = {}
    for sample in samples:
        if sample.split == "train":
            sources.setdefault(sample.source, []).append(sample)
    most = min(_MOST_IMAGES, max(2 * dim, 4 * min(map(len, sources.values()))))
    return [
        group[number]
        for group in sources.values()
        for number in sorted(random.permutation(len(group))[:most].tolist())
    ]


@torch.no_grad()
def fit_final(
    model: Model, samples: Sequence[Sample], read: Read, *, side: int, whiten: bool
) -> None:
    """Fit the layers after the backbone, in place.

    Local descriptors become half-whitened principal components of the backbone's cells; with
    ``whiten``, so does the vector of its pooled features. The trained power of GeM is then rounded
    to the nearest half, which is cheap to compute.

    Args:
        model: model in evaluation mode.
        samples: images to fit to.
        read: reads an image.
        side: side of the finished model's input, in pixels.
        whiten: whether to fit the vector's projection too.
    """
    head = model.head
    if whiten and isinstance(head, Gem):
        head.power.fill_(max(1.0, round(float(head.power) * 2) / 2))
    pooled, cells = [], []
    own_cells = True
    for maps in _maps(model, samples, read, side):
        if whiten and isinstance(head, Pooled):
            pooled.append(head.pooled(maps).cpu())
        own_cells = own_cells and head(maps).local is None
        local = maps[-2] if len(maps) > 1 else maps[-1]
        cells.append(functional.normalize(local.float().flatten(2)[0], dim=0).T[::_CELL_STEP].cpu())
    if whiten and isinstance(head, Pooled) and head.whitening is not None:
        head.whitening.fit_components(torch.cat(pooled), power=_WHITENING)
    if own_cells:
        model.cells.whitening.fit_components(torch.cat(cells), power=_WHITENING)


def place_keypoints(model: Model, samples: Sequence[Sample], read: Read) -> None:
    """Measure the effective receptive fields of the cells, and place keypoints at their centres."""
    from PIL import Image

    size = (_PROBE_SIDE, _PROBE_SIDE)
    images = [Image.fromarray(read(sample)).resize(size) for sample in samples[:_PROBED]]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    batch = pixels.permute(0, 3, 1, 2).float() / 255
    model.recentre(effective_offsets(model.backbone, batch, probes=4))


def _maps(model: Model, samples: Sequence[Sample], read: Read, side: int) -> Iterator[list[Tensor]]:
    device = next(model.parameters()).device
    for image in model_images(map(read, samples), side, device):
        yield model.backbone(image)
