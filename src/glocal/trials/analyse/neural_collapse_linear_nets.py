"""Class means of trained features have the lengths and right angles that theory predicts.

The network is the one of the paper: free features and one to three linear layers without biases,
trained on the squared error with weight decay, of four classes of 5 to 40 images each. It is
trained from random numbers by L-BFGS to its minimum; what is compared is the report on what came
out, not the loss. The paper's networks with nonlinear layers are not tried here: they approach the
same geometry only after hundreds of epochs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.analyse.neural_collapse import CollapseStudy, predicted_lengths, study_collapse
from glocal.trials import Claim, Lab

CLAIM = Claim(
    measured="lengths of the class means of features that were trained on unequal classes",
    baseline="lengths that the theory predicts from the number of images of each class",
    unit="length",
    comparison="=",
    margin=0.01,
    seeds=6,
)
_CLASSES, _DIM, _DECAY = 4, 12, 2e-3


def method(lab: Lab) -> NDArray[np.float64]:
    """Train, and study the features."""
    counts, layers = _task(lab)
    before, after = _trained(lab, counts, layers)
    lab.check("spread within classes, trained", after.within, "<", 1e-4)
    lab.check("spread within classes, untrained", before.within, ">", 1)
    lab.check("mean absolute cosine of two class means", after.from_orthogonal, "<", 0.01)
    return after.lengths


def baseline(lab: Lab) -> NDArray[np.float64]:
    """The prediction."""
    counts, layers = _task(lab)
    return predicted_lengths(counts, weight_decays=[_DECAY] * layers, feature_decay=_DECAY)


def _task(lab: Lab) -> tuple[NDArray[np.int64], int]:
    """Images of each class, and the number of linear layers."""
    return lab.random().integers(5, 41, _CLASSES), 1 + lab.seed % 3


def _trained(
    lab: Lab, counts: NDArray[np.int64], layers: int
) -> tuple[CollapseStudy, CollapseStudy]:
    """Reports on the features before and after training."""
    labels = np.repeat(np.arange(_CLASSES), counts)
    total = len(labels)
    wanted = torch.nn.functional.one_hot(torch.from_numpy(labels)).double().T
    widths = [_DIM] * layers + [_CLASSES]
    features = torch.randn(_DIM, total, dtype=torch.float64, requires_grad=True)
    weights = [
        (torch.randn(out, into, dtype=torch.float64) / into**0.5).requires_grad_()
        for into, out in pairwise(widths)
    ]
    before = study_collapse(features.detach().T.numpy(), labels)
    optimizer = torch.optim.LBFGS(
        [features, *weights], max_iter=2000, tolerance_grad=1e-10, tolerance_change=1e-14,
        history_size=20, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = features
        for weight in weights:
            found = weight @ found
        decays = sum(each.square().sum() for each in [features, *weights])
        value = (found - wanted).square().sum() / (2 * total) + _DECAY / 2 * decays
        value.backward()
        return value

    optimizer.step(loss)
    return before, study_collapse(features.detach().T.numpy(), labels)
