"""Products that come in four sessions are told apart as if all had been there from the beginning.

The body is a frozen trunk with the weights of ImageNet and one layer above it, the identity at
first, that is adapted (LoRA) to the first session's 21 of Grocery's 81 classes and then stays. The
other sessions' classes are added without their predecessors' photos. The baseline is what else
keeps no photo and forgets nothing: the nearest class mean on the same adapted body, by distance or
by cosine, whichever is better on validation photos. Checks say that sessions give what all photos
at once give, and that a linear classifier that goes on training in each session, without
replay, forgets.

The adaptation brings nothing here that could be told from noise: what it adds on validation photos
is among the checks, and was between two points less and one point more while choosing rank and
steps (seeds 100 and 101, training and validation photos of these divisions).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.adapters.low_rank import Lora
from glocal.query.growing import GrowingClasses
from glocal.trials import Claim, Lab
from glocal.trials.data import Data, accuracy
from glocal.trials.trunk_vectors import vectors_of
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="accuracy on photos of 81 products that came in four sessions, by growing classes",
    baseline="by the nearest class mean on the same body",
    unit="per cent",
    comparison=">",
    margin=3.0,
    seeds=5,
)
_SIDE, _PER_CLASS, _SESSIONS = 128, 8, 4
_RANK, _STEPS, _RATE, _LATER = 4, 20, 1e-3, 50

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """Vectors before and after the adaptation, and the classes of each session."""

    data: Data
    sessions: tuple[Labels, ...]
    plain: tuple[Floats, Floats, Floats]
    adapted: tuple[Floats, Floats, Floats]


def method(lab: Lab) -> float:
    """Growing classes."""
    body = _body(lab.seed, lab.smoke)
    data = _data(lab)
    train, validation, test = body.adapted
    found = _grown(body, train)
    once = GrowingClasses()
    once.add(train, data.train.labels)
    joint = once.logits(validation)[:, [once.classes.index(each) for each in found.classes]]
    drift = np.abs(found.logits(validation) - joint).max() / np.abs(joint).max()
    lab.check("deviation from all sessions at once, parts of the largest logit", drift, "<", 1e-8)
    known = data.validation.labels
    own = accuracy(found.predict(validation), known)
    plain = accuracy(_grown(body, body.plain[0]).predict(body.plain[1]), known)
    lab.check("points that the adaptation adds on validation photos", own - plain, ">", -5)
    lost = own - accuracy(_without_replay(lab, body), known)
    lab.check("points more than a classifier that trains on without replay", lost, ">", 20)
    return data.test.accuracy(found.predict(test))


def baseline(lab: Lab) -> float:
    """Class means."""
    body = _body(lab.seed, lab.smoke)
    data, (train, validation, test) = _data(lab), body.adapted
    labels = data.train.labels
    means = np.stack([train[labels == each].mean(axis=0) for each in range(data.classes)])

    def nearest(rows: Floats, by: str) -> Labels:
        if by == "cosine":
            scores = unit(rows) @ unit(means).T
        else:
            scores = 2 * rows @ means.T - np.square(means).sum(axis=1)
        return scores.argmax(axis=1).astype(np.int64)

    def score(by: str) -> float:
        return accuracy(nearest(validation, by), data.validation.labels)

    best = lab.choose(("distance", "cosine"), score, on="validation")
    return data.test.accuracy(nearest(test, best))


def _grown(body: _Body, train: Floats) -> GrowingClasses:
    found, labels = GrowingClasses(), body.data.train.labels
    for session in body.sessions:
        now = np.isin(labels, session)
        found.add(train[now], labels[now])
    return found


def _without_replay(lab: Lab, body: _Body) -> Labels:
    """Predictions for validation photos by a classifier that trains on in each session."""
    torch.manual_seed(lab.seed)
    rows, labels = torch.from_numpy(body.adapted[0]), body.data.train.labels
    classifier = nn.Linear(rows.shape[1], body.data.classes)
    optimizer = torch.optim.AdamW(classifier.parameters(), _RATE)
    for session in body.sessions:
        now = np.flatnonzero(np.isin(labels, session))
        _train(optimizer, classifier, rows[now], labels[now], lab.steps(_LATER))
    with torch.no_grad():
        found: Labels = classifier(torch.from_numpy(body.adapted[1])).argmax(dim=1).numpy()
    return found


def _data(lab: Lab) -> Data:
    return lab.grocery(32 if lab.smoke else _SIDE, _PER_CLASS)


@cache
def _body(seed: int, smoke: bool) -> _Body:
    lab = Lab(seed, smoke=smoke)
    data = _data(lab)
    sessions = tuple(np.array_split(lab.random().permutation(data.classes), _SESSIONS))
    vectors = [
        vectors_of("lite0", each.images) for each in (data.train, data.validation, data.test)
    ]
    scale = vectors[0].std()
    train, validation, test = (each / scale for each in vectors)
    torch.manual_seed(seed)
    layer = nn.Linear(train.shape[1], train.shape[1])
    with torch.no_grad():
        layer.weight.copy_(torch.eye(len(layer.weight))), layer.bias.zero_()
    body = Lora(rank=_RANK).attach(nn.Sequential(layer, nn.ReLU()))
    model = nn.Sequential(body, nn.Linear(train.shape[1], data.classes))
    now = np.flatnonzero(np.isin(data.train.labels, sessions[0]))
    learned = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learned, _RATE)
    _train(
        optimizer, model, torch.from_numpy(train)[now], data.train.labels[now], lab.steps(_STEPS)
    )

    @torch.no_grad()
    def adapted(rows: Floats) -> Floats:
        found: Floats = body(torch.from_numpy(rows)).numpy()
        return found

    after = (adapted(train), adapted(validation), adapted(test))
    return _Body(data, sessions, (train, validation, test), after)


def _train(
    optimizer: torch.optim.Optimizer, model: nn.Module, rows: Tensor, labels: Labels, steps: int
) -> None:
    """Steps of the cross entropy of all rows."""
    targets = torch.from_numpy(labels)
    for _ in range(steps):
        loss = functional.cross_entropy(model(rows), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
