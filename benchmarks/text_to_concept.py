"""How many photos text-to-concept has to be fitted to, and what it loses against encoding anew.

    GLOCAL_GROCERY=DATASET python benchmarks/text_to_concept.py

The task is that of the trial (`glocal.trials.query.text_to_concept`): 81 names search photos of
Grocery that lite0 has encoded, through a map to a toy image-text pair. Prints, for each number of
anchors, the recall as a share of what the pair itself finds among photos that it has encoded; by
the cosine in the pair's space, and by inner products in the gallery's, which find the candidates.
"""

from __future__ import annotations

import argparse

import numpy as np

from glocal.learn.locked_text import image_vectors
from glocal.query.text_to_concept import TextToConcept
from glocal.trials import Lab
from glocal.trials.grocery_words import toy_pair, words
from glocal.trials.trunk_vectors import vectors_of

ANCHORS = (50, 100, 200, 400, 800)


class Repeated(Lab):
    """A lab in which nothing is chosen, so that test photos may be scored as often as one likes."""

    def _may_score(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
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
