"""MUVERA's one vector finds nearly all that MaxSim of many descriptors finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.maxsim import max_similarities
from glocal.ranking.muvera import FixedEncoding
from glocal.trials import Claim, Lab
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="recall of the ten best by MaxSim among 90 candidates by MUVERA, rescored exactly",
    baseline="the same among 90 candidates by the mean of the descriptors",
    unit="per cent",
    comparison=">",
    margin=3.0,
    seeds=3,
)
_QUERIES, _CANDIDATES, _BEST = 40, 90, 10


def method(lab: Lab) -> float:
    """Recall with fixed-dimension encodings, and how well they approximate MaxSim."""
    queries, documents = _descriptors(lab)
    encoding = FixedEncoding(documents[0].shape[1], repetitions=40, planes=5)
    encoded = encoding.encode_documents(documents)
    scores = np.stack([encoding.encode_query(query) for query in queries]) @ encoded.T
    exact = max_similarities(queries, documents)
    agreement, plain = (
        float(np.corrcoef(each.ravel(), exact.ravel())[0, 1])
        for each in (scores, _mean_scores(queries, documents))
    )
    lab.check("correlation of the encodings' products with MaxSim", agreement, ">", plain + 0.1)
    recall = _recall(scores, exact)
    lab.check("recall of the ten best after rescoring, per cent", recall, ">", 90)
    return recall


def baseline(lab: Lab) -> float:
    """Recall with one mean descriptor for each image."""
    queries, documents = _descriptors(lab)
    return _recall(_mean_scores(queries, documents), max_similarities(queries, documents))


def _mean_scores(queries: list[Floats], documents: list[Floats]) -> Floats:
    """Cosines of the mean descriptors."""
    rows, columns = (
        unit(np.stack([d.mean(axis=0) for d in each])) for each in (queries, documents)
    )
    return rows @ columns.T


def _recall(scores: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    """Rescoring candidates exactly finds the best that are among them."""
    candidates = np.argsort(-scores, axis=1)[:, :_CANDIDATES]
    best = np.argsort(-exact, axis=1)[:, :_BEST]
    shared = [len(set(a) & set(b)) for a, b in zip(candidates, best, strict=True)]
    return 100 * float(np.mean(shared)) / _BEST


def _descriptors(lab: Lab) -> tuple[list[Floats], list[Floats]]:
    """3x3 patches of digits that are not empty, as descriptors of queries and of documents."""
    data = lab.digits(8)
    sets = [_patches(image) for image in data.train.images]
    return [_patches(image) for image in data.validation.images[:_QUERIES]], sets


def _patches(image: NDArray[np.uint8]) -> Floats:
    grey = image[..., 0].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (3, 3)).reshape(-1, 9)
    shown = windows[windows.max(axis=1) > 64]
    centred = shown - grey.mean()
    return unit(centred)
