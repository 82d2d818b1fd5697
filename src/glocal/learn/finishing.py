"""What is fitted once a model is trained: its final map, its local descriptors, its keypoints."""

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

_WHITENING = 0.5  # how far variances are evened: halfway, as in glocal's first model
_MOST_IMAGES = 1500  # of a source; more hardly move the components
_CELL_STEP = 4  # every fourth cell is fitted on: of neighbours, a few say it all
_PROBED = 6  # images by which the places of keypoints are measured
_PROBE_SIDE = 320

Read = Callable[[Sample], NDArray[np.uint8]]


def check_head(settings: Settings) -> None:
    """See whether the head can be exported, and whitened if that is wanted.

    Raises:
        LearnError: it cannot.
    """
    made = part("head", settings.head).load()
    if made.fixed_size:
        raise LearnError(
            f"the head {settings.head} makes a graph that fits images of one size only, and "
            "glocal's come in all shapes: choose another to train"
        )
    if settings.final == "whitening" and not issubclass(made, Pooled):
        raise LearnError(
            f"--final whitening is fitted to pooled features, which the head {settings.head} has "
            "not: use --final projection, or a head such as gem"
        )


def check_whitening(model: Model, samples: Sequence[Sample]) -> None:
    """See whether there will be enough images to whiten a vector.

    Args:
        model: with a pooling head.
        samples: to fit to.

    Raises:
        LearnError: there are not, or the vector is longer than the features it is made of.
    """
    whitening = model.head.whitening if isinstance(model.head, Pooled) else None
    if whitening is None:
        return
    width, dim = whitening.linear.in_features, whitening.linear.out_features
    if dim > width:
        raise LearnError(f"--dim {dim} is more than the {width} features that are whitened")
    if len(samples) < dim:
        raise LearnError(
            f"{len(samples)} images are too few to whiten {dim} numbers: give as many "
            "images, a smaller --dim, or --final projection"
        )


def choose_fitting(samples: Sequence[Sample], dim: int, seed: int) -> list[Sample]:
    """Images of the training split to fit to: at most 1500 of each source.

    No source outweighs the smallest by more than a factor of four, unless that would leave too few.

    Args:
        samples: of the training.
        dim: length of the vector.
        seed: of the choice.
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
    """Fit what follows the trunk, in place.

    Local descriptors become half-whitened principal components of the cells of the model's own
    trunk; with ``whiten`` the vector does of its pooled features. The trained power of GeM is then
    rounded to the nearest half, which makes it a cheap one.

    Args:
        model: in evaluation mode.
        samples: to fit to.
        read: makes their images.
        side: of the finished model's input.
        whiten: fit the vector's map too.
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
    """Measure where the trained trunk's cells look, and place keypoints there."""
    from PIL import Image

    size = (_PROBE_SIDE, _PROBE_SIDE)
    images = [Image.fromarray(read(sample)).resize(size) for sample in samples[:_PROBED]]
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in images]))
    image = pixels.permute(0, 3, 1, 2).float() / 255
    model.recentre(effective_offsets(model.backbone, image, probes=4))


def _maps(model: Model, samples: Sequence[Sample], read: Read, side: int) -> Iterator[list[Tensor]]:
    device = next(model.parameters()).device
    for image in model_images(map(read, samples), side, device):
        yield model.backbone(image)
