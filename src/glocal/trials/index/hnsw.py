"""The layered graph answers with few distances and nearly the exact neighbours, grown by adding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.stores.graph import EXPANSION, new_index
from glocal.trials import Claim, Lab
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="distances that a search in glocal's graph computes, of 8,000 image patches",
    baseline="distances that an exact search computes",
    unit="distances",
    comparison="<",
    margin=6000.0,
    seeds=3,
)
_COUNT, _QUERIES, _BEST = 8000, 200, 10


def method(lab: Lab) -> float:
    """Count distances and recall, with a quarter of the rows and after adding the others."""
    rows, queries = _patches(lab)
    graph = new_index(rows.shape[1])
    quarter = _COUNT // 4
    graph.add(np.arange(quarter), rows[:quarter])
    few, recall = _searched(graph, rows[:quarter], queries)
    lab.check("recall@10 of the first quarter, exact search being 1", recall, ">", 0.95)
    graph.add(np.arange(quarter, _COUNT), rows[quarter:])
    many, recall = _searched(graph, rows, queries)
    lab.check("recall@10 after adding the others", recall, ">", 0.95)
    lab.check("distances for four times as many rows, in parts", many / few, "<", 2)
    return many


def baseline(lab: Lab) -> float:
    """Every row."""
    rows, _ = _patches(lab)
    return float(len(rows))


def _searched(graph: object, rows: Floats, queries: Floats) -> tuple[float, float]:
    """Distances for each query, and recall of the ten best as glocal's store finds them."""
    exact = np.argsort(-(queries @ rows.T), axis=1)[:, :_BEST]
    found = graph.search(queries, EXPANSION, threads=1)  # type: ignore[attr-defined]
    scores = np.einsum("qd,qkd->qk", queries, rows[found.keys.astype(np.int64)])
    again = np.take_along_axis(found.keys.astype(np.int64), np.argsort(-scores, axis=1), axis=1)
    shared = [
        len(set(a[:_BEST]) & set(b)) for a, b in zip(again.tolist(), exact.tolist(), strict=True)
    ]
    return found.computed_distances / len(queries), float(np.mean(shared)) / _BEST


def _patches(lab: Lab) -> tuple[Floats, Floats]:
    """Random patches of photos, as rows and as queries."""
    every = _all_patches(lab.photos(160))
    chosen = lab.random().permutation(len(every))[: _COUNT + _QUERIES]
    return every[chosen[:_COUNT]], every[chosen[_COUNT:]]


def _all_patches(photos: tuple[NDArray[np.uint8], ...]) -> Floats:
    found = []
    for photo in photos:
        grey = photo.mean(axis=2).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(grey, (8, 8))[::2, ::2]
        found.append(windows.reshape(-1, 64))
    rows = np.concatenate(found)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return unit(rows[rows.std(axis=1) > 3])
