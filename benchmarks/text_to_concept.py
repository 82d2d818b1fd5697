"""How many photos text-to-concept has to be fitted to, and what it loses against encoding anew.

    GLOCAL_GROCERY=DATASET python benchmarks/text_to_concept.py [--views]

The task is that of the trial (`glocal.trials.query.text_to_concept`): 81 names search photos of
Grocery that lite0 has encoded, through a map to a toy image-text pair. Prints, for each number of
anchors, the recall as a share of what the pair itself finds among photos that it has encoded; by
the cosine in the pair's space, and by inner products in the gallery's, which find the candidates.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from glocal.learn.locked_text import image_vectors, train_image_side
from glocal.query.text_to_concept import TextToConcept, anchor_views
from glocal.trials import Lab, data
from glocal.trials.grocery_words import (
    PER_CLASS,
    SIDE,
    STEPS,
    name_recall,
    quarters,
    texts_of,
    toy_pair,
    words,
)
from glocal.trials.trunk_vectors import vectors_of

ANCHORS = (50, 100, 200, 400, 800)
_OTHERS = 100


class Repeated(Lab):
    """A lab in which nothing is chosen, so that test photos may be scored as often as one likes."""

    def _may_score(self) -> None:
        pass


def resized_views(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Views of an image, all of its size."""
    height, width = image.shape[:2]
    return [
        np.asarray(Image.fromarray(view).resize((width, height), Image.Resampling.BICUBIC))
        for view in anchor_views(image)
    ]


def by_views(seeds: int) -> None:
    """Shares of the pair's own recall by one view of each anchor, two and three."""
    images, labels = data.grocery(SIDE, 2 * PER_CLASS)
    late = np.concatenate([np.flatnonzero(labels == each)[PER_CLASS:] for each in range(81)])
    images, labels, texts = images[late], labels[late], texts_of(smoke=False)
    seen = [np.stack(each) for each in zip(*map(resized_views, images), strict=True)]
    old, new = ([vectors_of(trunk, each) for each in seen] for trunk in ("lite0", "lite2"))
    shares: list[list[float]] = [[] for _ in seen]
    for seed in range(_OTHERS, _OTHERS + seeds):
        part = quarters(labels, seed)
        torch.manual_seed(seed)
        pair = train_image_side(
            new[0][part == 0], labels[part == 0], texts.all,
            steps=STEPS, batch=128, random=np.random.default_rng(seed),
        )  # fmt: skip
        second, tested = (part == 1) | (part == 2), part == 3
        own = texts.names @ image_vectors(pair, new[0][tested]).T
        best = name_recall(own, labels[tested])
        for count, each in enumerate(shares, start=1):
            made = TextToConcept().fit(
                np.concatenate([rows[second] for rows in old[:count]]),
                np.concatenate([image_vectors(pair, rows[second]) for rows in new[:count]]),
            )
            found = texts.names @ made.concepts(old[0][tested]).T
            each.append(name_recall(found, labels[tested]) / best)
    for count, each in enumerate(shares, start=1):
        print(f"{count} views of {second.sum()} anchors: {np.mean(each):.3f} of it by cosine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--views", action="store_true", help="what several views of anchors add")
    given = parser.parse_args()
    if given.views:
        by_views(given.seeds)
        return
    found: dict[int, list[tuple[float, float]]] = {}
    own = []
    for seed in range(given.seeds):
        lab = Repeated(seed)
        task = words(lab)
        pair, names = toy_pair(lab, task), task.texts.names
        own.append(task.recall(names @ image_vectors(pair, vectors_of("lite2", task.test)).T))
        vectors = vectors_of("lite0", task.second.images)
        concepts = image_vectors(pair, vectors_of("lite2", task.second.images))
        test = vectors_of("lite0", task.test)
        order = lab.random().permutation(len(vectors))
        for count in sorted({min(count, len(order)) for count in ANCHORS}):
            made = TextToConcept().fit(vectors[order[:count]], concepts[order[:count]])
            by_cosine = task.recall(names @ made.concepts(test).T)
            by_product = task.recall(made.directions(names) @ test.T)
            found.setdefault(count, []).append((by_cosine / own[-1], by_product / own[-1]))
    print(
        f"{given.seeds} seeds; the pair itself: recall {np.mean(own):.1f} %, chance "
        f"{task.chance:.1f} %"
    )
    for count, shares in found.items():
        cosine, product = np.mean(shares, axis=0)
        print(f"{count:4} anchors: {cosine:.2f} of it by cosine, {product:.2f} by inner product")


if __name__ == "__main__":
    main()
