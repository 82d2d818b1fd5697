"""Draw the vector spaces of an upgrade: before it, at once through the bridge, and at the end.

    python benchmarks/upgrade_picture.py [--work FOLDER] [--output docs/upgrading.png]

Photos of six kinds of Grocery's test photos, by version 1 of the bundled model, and by version 2.
Dots are photos of the gallery, rings are queries. Each picture is a plane of its space: the one in
which the means of the kinds, as the model that encodes the queries places them, lie the farthest
apart (principal components of the means). The second and the third picture are the same plane. The
bridge is the one of `glocal upgrade`, fitted without labels to 1,000 photos of other kinds too.

Needs matplotlib. Vectors are kept in FOLDER, which `bridges.py` shares.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge_spaces import CHECKOUT, Vectors, photos, vectors_of
from glocal.gallery.bridge_trial import INTO_NEW
from glocal.upgrade import make_bridge

KINDS, QUERIES, ANCHORS = 6, 8, 1_000
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
INK, PAPER = "#333333", "#ffffff"


def plane(vectors: Vectors, kinds: NDArray[np.int64]) -> tuple[Vectors, Vectors]:
    """Origin ``(d,)`` and two axes ``(2, d)`` of the plane that parts the means of the kinds."""
    means = np.stack([vectors[kinds == kind].mean(axis=0) for kind in range(KINDS)])
    origin = means.mean(axis=0)
    return origin, np.linalg.svd(means - origin, full_matrices=False)[2][:2]


def turned(points: Vectors, like: Vectors) -> Vectors:
    """Points ``(n, 2)`` turned and mirrored to lie as the others do, as far as they can."""
    left, _, right = np.linalg.svd(points.T @ like)
    return np.asarray(points @ (left @ right), np.float32)


def scatter(
    axis: Any,
    title: str,
    dots: NDArray[np.floating],
    rings: NDArray[np.floating],
    kinds: list[NDArray[np.int64]],
) -> None:
    """One picture: photos of the gallery and queries, coloured by kind."""
    for kind, colour in enumerate(COLOURS):
        axis.scatter(*dots[kinds[0] == kind].T, s=13, color=colour, alpha=0.75, linewidths=0)
        axis.scatter(
            *rings[kinds[1] == kind].T, s=46, facecolors="none", edgecolors=colour, linewidths=1.6
        )
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.margins(0.06)
    for spine in axis.spines.values():
        spine.set_color("#cccccc")


def main() -> None:
    """Project and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("bridges-work"))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "docs" / "upgrading.png")
    options = parser.parse_args()
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    taken = photos()
    files, labels = taken.files["test"], np.asarray([str(x) for x in taken.labels["test"]])
    old, new = (vectors_of(f"glocal-v{n}", files, "test", options.work) for n in (1, 2))
    order = np.random.default_rng(0).permutation(len(files))
    names = [name for name, _ in Counter(labels.tolist()).most_common(KINDS)]
    of_kind = [order[labels[order] == name] for name in names]
    asked = np.concatenate([rows[:QUERIES] for rows in of_kind])
    kept = np.concatenate([rows[QUERIES:] for rows in of_kind])
    code = np.asarray([names.index(label) if label in names else -1 for label in labels])
    anchors = np.setdiff1d(order, asked)[:ANCHORS]
    bridge = make_bridge(INTO_NEW).fit(new[anchors], old[anchors])
    bridged = bridge.queries(old[kept])
    kinds = [code[kept], code[asked]]
    (at_old, axes_old), (at_new, axes_new) = plane(old[kept], kinds[0]), plane(new[kept], kinds[0])
    end = (new[kept] - at_new) @ axes_new.T
    once = (bridged - at_new) @ axes_new.T
    queries = (new[asked] - at_new) @ axes_new.T
    count = len(kept)
    before = turned(
        np.concatenate([(old[kept] - at_old) @ axes_old.T, (old[asked] - at_old) @ axes_old.T]),
        np.concatenate([end, queries]),
    )
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure, panels = pyplot.subplots(1, 3, figsize=(9.6, 3.3), layout="constrained")
        figure.patch.set_facecolor(PAPER)
        scatter(panels[0], "before: the old space", before[:count], before[count:], kinds)
        scatter(panels[1], "at once: through the bridge", once, queries, kinds)
        scatter(panels[2], "at the end: the new space", end, queries, kinds)
        panels[2].sharex(panels[1])
        panels[2].sharey(panels[1])
        figure.savefig(options.output, dpi=100, metadata={"Software": None})
    print(f"{options.output}: {count} photos and {len(asked)} queries of {', '.join(names)}")


if __name__ == "__main__":
    main()
