"""A target branch whose margins come from an anchor branch finds more than the anchor branch.

Both put photos where MiniLM puts what is said of them; they begin alike, and see the same batches
for as many steps. Trained for as many steps as both together, the anchor branch alone finds more
than either here: what the target branch adds is worth less than longer training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from glocal.learn.boosting import DeepBoosting, ranking_loss
from glocal.learn.locked_text import image_vectors
from glocal.trials import Claim, Lab
from glocal.trials.grocery_words import WordTask, words
from glocal.trials.trunk_vectors import vectors_of

CLAIM = Claim(
    measured="recall of photos by their class's name, by the target branch",
    baseline="recall by the anchor branch, trained by triplets for as many steps",
    unit="points",
    comparison=">",
    margin=0.0,
    seeds=8,
)
STEPS, BATCH = 120, 96


def method(lab: Lab) -> float:
    """The anchor branch is trained first, and then stays as it is."""
    task = words(lab)
    return _found(task, _trained(lab, task, anchor=_trained(lab, task)))


def baseline(lab: Lab) -> float:
    """The triplet loss alone."""
    task = words(lab)
    return _found(task, _trained(lab, task))


def _found(task: WordTask, branch: nn.Linear) -> float:
    return task.recall(task.texts.names @ image_vectors(branch, vectors_of("lite0", task.test)).T)


def _trained(lab: Lab, task: WordTask, anchor: nn.Linear | None = None) -> nn.Linear:
    """A branch; the target branch, if there is an anchor branch."""
    labels = np.concatenate([task.first.labels, task.second.labels])
    photos = np.concatenate([task.first.images, task.second.images])
    rows, steps = torch.from_numpy(vectors_of("lite0", photos)), lab.steps(STEPS)
    torch.manual_seed(lab.seed)
    branch = nn.Linear(rows.shape[1], task.texts.names.shape[1])
    boosting = DeepBoosting()
    optimizer = torch.optim.AdamW(branch.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 2))
    random = np.random.default_rng(lab.seed)
    for _ in range(steps):
        chosen = random.choice(len(rows), BATCH)
        mine = labels[chosen]
        said = [task.texts.all[label] for label in mine]
        texts = torch.from_numpy(np.stack([each[random.integers(len(each))] for each in said]))
        same = torch.from_numpy(mine[:, None] == mine)
        scores = functional.normalize(branch(rows[chosen]), dim=-1) @ texts.T
        loss = ranking_loss(scores, same)
        if anchor is not None:
            with torch.no_grad():
                before = functional.normalize(anchor(rows[chosen]), dim=-1) @ texts.T
            loss = loss + boosting(scores, before, same)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return branch.eval().requires_grad_(False)
