"""Local rank: in how many directions a layer's output changes when an image does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import jacrev

from glocal.errors import LearnError

TOLERANCE = 0.01
"""Singular values below this part of the largest one count as none."""

_MOST = 1 << 26
"""Entries of the Jacobian of one image that are held at once: 256 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalRank:
    """What was measured of each layer, in the order of the layers.

    Attributes:
        ranks: Of each layer the rank, mean of all images.
        per_image: Of each layer ``(n,)`` int64.
        most: Of each layer the highest rank that it could have: its width or the image's size.
    """

    ranks: Mapping[str, float]
    per_image: Mapping[str, NDArray[np.int64]]
    most: Mapping[str, int]


def study_local_rank(
    network: nn.Module,
    images: Tensor,
    *,
    layers: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
) -> LocalRank:
    """Measure the local rank of each layer.

    With ``p_l(x)`` the output of layer l before its activation, and ``s_1 >= s_2 ...`` the singular
    values of its Jacobian, the local rank is

    ``LR_l = E_x | { i : s_i(J p_l(x)) > e s_1 } |``,

    the dimension of the manifold of features around an image. It falls in the last phase of a
    training that decays its weights: what does not serve the task is squeezed out, and lost to
    whatever else the features would be used for.

    Source: Patel and Shwartz-Ziv, Learning to Compress: Local Rank and Information Compression in
    Deep Neural Networks, 2024.

    Deviations: small singular values are told by their ratio to the largest one, so that the scale
    of the weights does not count.

    Args:
        network: Takes ``(b, ...)`` images; it is measured in evaluation mode, and is in its own
            mode afterwards.
        images: ``(n, ...)`` float.
        layers: Names of modules, as `torch.nn.Module.named_modules` gives them; None for all linear
            layers and convolutions.
        tolerance: ``e``, above 0 and below 1.

    Raises:
        LearnError: There is no such layer or no image, or a Jacobian is too large to be held.
    """
    if not 0 < tolerance < 1 or not len(images):
        raise LearnError(
            f"local rank of {len(images)} images with a tolerance of {tolerance:g} cannot be "
            "measured; give one image or more, and a tolerance between 0 and 1"
        )
    found = {name: module for name, module in network.named_modules() if name}
    if layers is None:
        chosen = [n for n, m in found.items() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    else:
        chosen = list(layers)
    missing = [name for name in chosen if name not in found]
    if missing or not chosen:
        raise LearnError(
            f"the network has no layers {missing or '(linear or convolution)'}; it has "
            f"{', '.join(found) or 'none'}"
        )
    was_training = network.training
    kept: dict[str, Tensor] = {}
    handles = [
        found[name].register_forward_hook(
            lambda _module, _inputs, output, name=name: kept.__setitem__(name, output)
        )
        for name in chosen
    ]

    def outputs(image: Tensor) -> dict[str, Tensor]:
        kept.clear()
        network(image[None])
        return {name: kept[name][0] for name in chosen}

    network.eval()
    try:
        with torch.no_grad():
            sizes = {name: each.numel() for name, each in outputs(images[0]).items()}
        inputs = images[0].numel()
        if sum(sizes.values()) * inputs > _MOST:
            raise LearnError(
                f"Jacobians of {sum(sizes.values())} outputs by {inputs} numbers of an image are "
                f"too large; choose layers, or make images smaller: at most {_MOST} entries fit"
            )
        jacobian = jacrev(outputs)
        ranks: dict[str, list[int]] = {name: [] for name in chosen}
        for image in images:
            for name, each in jacobian(image).items():
                values = torch.linalg.svdvals(each.detach().reshape(sizes[name], inputs))
                ranks[name].append(int((values > tolerance * values[0]).sum()))
    finally:
        for handle in handles:
            handle.remove()
        network.train(was_training)
    return LocalRank(
        {name: float(np.mean(each)) for name, each in ranks.items()},
        {name: np.array(each, np.int64) for name, each in ranks.items()},
        {name: min(size, inputs) for name, size in sizes.items()},
    )
