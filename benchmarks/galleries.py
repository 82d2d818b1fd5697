"""Two galleries of different models, searched as one: how their similarities are put together.

    python benchmarks/galleries.py [--work FOLDER]

Of Grocery's test photos 800 are queries, and the others lie in two galleries, one half in each, of
which each has a model of its own. Right is what has the query's label. The hits of both are ordered
by their similarities as they are, by their ranks in each gallery, or by similarities that mean as
much (`matching_scores`), matched on so many photos of the second gallery that both models encode.
Means of three divisions, and of three draws of those photos. For comparison all photos in one
gallery of either model, and the second gallery searched through a bridge from the first model,
which 1,000 other photos fit.

Vectors are kept in FOLDER, which `bridges.py` shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge_spaces import Vectors, photos, vectors_of
from glocal.gallery.matching_scores import matching_scores
from glocal.upgrade import make_bridge
from measure import arguments, print_table, write_results

PAIRS = [("glocal-v1", "glocal-v2"), ("lite0-gem", "glocal-v2"), ("lite0-gem", "lite2-gem")]
QUERIES, DEEP, ANCHORS = 800, 100, 1_000
COUNTS = (16, 32, 64, 128, 256)
SEEDS = range(3)

Scores = NDArray[np.float32]
Labels = NDArray[np.str_]


def found(scores: Scores, labels: Labels, wanted: Labels) -> tuple[float, float]:
    """R@1 and mAP@100 of ``(queries, images)`` scores."""
    first, precision = [], []
    for row, label in zip(scores, wanted, strict=True):
        right = labels[np.argsort(-row, kind="stable")[:DEEP]] == label
        at = np.cumsum(right) / np.arange(1, DEEP + 1)
        known = min(int((labels == label).sum()), DEEP)
        first.append(right[0])
        precision.append((at * right).sum() / max(known, 1))
    return float(np.mean(first)), float(np.mean(precision))


def ranks(scores: Scores) -> Scores:
    """The ranks of each query's images, as scores that fall."""
    return np.asarray(-np.argsort(np.argsort(-scores, axis=1), axis=1), np.float32)


def measured(
    first: Vectors, second: Vectors, anchors: tuple[Vectors, Vectors], labels: Labels, seed: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Each way of one division, and what it finds."""
    order = np.random.default_rng(seed).permutation(len(labels))
    asked, rest = order[:QUERIES], order[QUERIES:]
    here, there = rest[::2], rest[1::2]
    both, wanted = labels[np.concatenate([here, there])], labels[asked]
    yield "all of the first model", found(first[asked] @ first[rest].T, labels[rest], wanted)
    yield "all of the second model", found(second[asked] @ second[rest].T, labels[rest], wanted)
    by_first, by_second = first[asked] @ first[here].T, second[asked] @ second[there].T
    as_they_are = np.concatenate([by_first, by_second], axis=1)
    yield "similarities as they are", found(as_they_are, both, wanted)
    by_ranks = np.concatenate([ranks(by_first), ranks(by_second) - 0.5], axis=1)
    yield "ranks", found(by_ranks, both, wanted)
    bridge = make_bridge().fit(anchors[1], anchors[0])
    ways = [(f"matched on {count}", None, count) for count in COUNTS]
    for name, through, count in [*ways, ("through a bridge, matched on 128", bridge, 128)]:
        draws = []
        for draw in SEEDS:
            some = np.random.default_rng(100 + draw).choice(there, count, replace=False)
            asks = second if through is None else through.queries(first)
            knots = matching_scores(asks[some] @ second[some].T, first[some] @ first[some].T)
            scores = asks[asked] @ second[there].T
            matched = np.concatenate([by_first, np.interp(scores, *knots)], axis=1)
            draws.append(found(matched, both, wanted))
        r1, ap = np.mean(draws, axis=0)
        yield name, (float(r1), float(ap))


def main() -> None:
    """Measure, print and keep."""
    parser = arguments(__doc__)
    parser.add_argument("--work", type=Path, default=Path("bridges-work"))
    options = parser.parse_args()
    taken = photos()
    labels = np.asarray([str(label) for label in taken.labels["test"]])
    figures = {}
    for pair in PAIRS[:1] if options.quick else PAIRS:
        test = [vectors_of(name, taken.files["test"], "test", options.work) for name in pair]
        train = [vectors_of(name, taken.files["train"], "train", options.work) for name in pair]
        chosen = np.random.default_rng(1).choice(len(train[0]), ANCHORS, replace=False)
        anchors = train[0][chosen], train[1][chosen]
        rows: dict[str, list[tuple[float, float]]] = {}
        for seed in SEEDS:
            for name, each in measured(test[0], test[1], anchors, labels, seed):
                rows.setdefault(name, []).append(each)
        means = {name: np.mean(each, axis=0).tolist() for name, each in rows.items()}
        print_table(" and ".join(pair), ["", "R@1", "mAP"], [(n, *m) for n, m in means.items()])
        figures[" and ".join(pair)] = {
            name: {"r1": r1, "map": ap} for name, (r1, ap) in means.items()
        }
    write_results("galleries", figures, quick=options.quick)


if __name__ == "__main__":
    main()
