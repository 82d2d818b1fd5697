"""A trained combiner of a photo and words finds the changed product; the sum of both finds less.

"Orange instead of apple" does not say whose juice in which carton: that the photo shows. Neither
the photos nor the pairs of classes of the test were trained on. The image-text pair is a toy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from glocal.learn.combiner import Combiner, combiner_loss
from glocal.learn.locked_text import image_vectors
from glocal.trials import Claim, Lab
from glocal.trials.grocery_words import WordTask, toy_pair, words
from glocal.trials.trunk_vectors import vectors_of

CLAIM = Claim(
    measured="recall of photos of the class that a photo and words ask for, by the combiner",
    baseline="recall by the sum of both vectors",
    unit="points",
    comparison=">",
    margin=2.0,
    seeds=5,
)
STEPS, BATCH = 200, 96


def method(lab: Lab) -> float:
    """The combiner learns from other photos, and three of four pairs of classes."""
    task = words(lab)
    pair = toy_pair(lab, task)
    combiner = _combiner(lab, task, image_vectors(pair, vectors_of("lite2", task.second.images)))

    def combine(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return combiner(torch.from_numpy(images), torch.from_numpy(texts)).numpy()

    return task.change_recall(image_vectors(pair, vectors_of("lite2", task.test)), combine)


def baseline(lab: Lab) -> float:
    """Image and words count the same."""
    task = words(lab)
    images = image_vectors(toy_pair(lab, task), vectors_of("lite2", task.test))
    return task.change_recall(images, lambda photos, texts: photos + texts)


def _combiner(lab: Lab, task: WordTask, images: np.ndarray) -> Combiner:
    combiner = Combiner(images.shape[1])
    steps, random = lab.steps(STEPS), np.random.default_rng(lab.seed)
    optimizer = torch.optim.AdamW(combiner.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=max(steps, 2))
    members = [np.flatnonzero(task.second.labels == label) for label in range(len(task.texts.all))]
    rows, said = torch.from_numpy(images), torch.from_numpy(task.changes.texts)
    for _ in range(steps):
        numbers = random.integers(len(task.changes.pairs), size=BATCH)
        pairs = task.changes.pairs[numbers]
        shown, wanted = ([random.choice(members[each]) for each in side] for side in pairs.T)
        queries = combiner(rows[shown], said[numbers])
        targets = functional.normalize(rows[wanted], dim=-1)
        loss = combiner_loss(queries, targets, torch.from_numpy(pairs[:, 1]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return combiner.eval()
