"""A query of a thing that is shown and another that is said finds scenes of both, and their masks.

A toy: scenes are made (`glocal.trials.pasted_things`) of the trunk lite0's maps, words are encoded
by MiniLM, and both stay as they are. The scenes of the test show other backgrounds, and pairs of
things that were never together in training; the things themselves were seen.

Masks have the cells of the finest map, and are coarse: what is asked of them is twice the overlap
of a mask that takes all pixels. That bound was lowered from an IoU of one half after a first look
at another division (seed 100), before the trial was ever run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.evaluate.ranking_metrics import mean_average_precision, rank_by_score
from glocal.learn.interleaved import InterleavedInterface
from glocal.learn.minilm import WIDTH
from glocal.trials import Claim, Lab
from glocal.trials.grocery_words import texts_of
from glocal.trials.pasted_things import SIDE, Scenes, scenes

CLAIM = Claim(
    measured="mAP of scenes with a thing that is shown and one that is said, by both in one query",
    baseline="mAP by the better of either alone, by the same interface",
    unit="points",
    comparison=">",
    margin=5.0,
    seeds=3,
)
_THINGS, _TRAINING, _SHOWN, _PAIRS = 81, 500, 3, 30
_STEPS, _BATCH, _SINGLE, _WIDTH = 500, 24, 0.3, 96


def method(lab: Lab) -> float:
    """Both prompts in one query; masks of the thing that is shown and of that which is said."""
    both, _, _, chance, covered = _answers(lab.seed, lab.smoke)
    lab.check("times as much as by chance", both / chance, ">", 5.0)
    shown, said, everything = covered
    for name, iou in (("shown", shown), ("said", said)):
        lab.check(f"IoU of masks of things that are {name}, per cent", iou, ">", 0.0)
        lab.check(f"the same, times as much as for all pixels ({name})", iou / everything, ">", 2.0)
    return both


def baseline(lab: Lab) -> float:
    """A query of one prompt."""
    _, shown, said, _, _ = _answers(lab.seed, lab.smoke)
    return max(shown, said)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What is trained on, which is the same for each seed.

    Attributes:
        things: ``(n, 2)``: those of each scene.
        seen: the scenes.
        alone: scenes of one thing each, `examples` of each thing in turn, to be shown in prompts.
        examples: how many.
    """

    things: NDArray[np.int64]
    seen: Scenes
    alone: Scenes
    examples: int


@cache
def _answers(seed: int, smoke: bool) -> tuple[float, float, float, float, list[float]]:
    """mAP by both, by what is shown and by what is said, by chance, and IoU, in per cent."""
    lab, training = Lab(seed, smoke=smoke), _training(smoke)
    torch.manual_seed(seed)
    random = np.random.default_rng((seed, 1))
    interface = _trained(lab, training, random)
    pairs = _other_pairs(random, training.things, 2 if smoke else _PAIRS)
    gallery, right = _gallery(pairs, random)
    shown = scenes(pairs[:, :1], random, tested=True)
    names = torch.from_numpy(texts_of(smoke).names)
    with torch.no_grad():
        prompts = torch.stack(
            [
                interface.shown(shown.maps, shown.covered()[:, 0]),
                interface.said(names[pairs[:, 1]]),
            ],
            dim=1,
        )
        vectors, cells = interface.gallery(gallery.maps)
        both, one, other = (
            _mean_ap((interface.queries(asked)[0] @ vectors.T).numpy(), right)
            for asked in (prompts, prompts[:, :1], prompts[:, 1:])
        )
        covered = _masks(interface, interface.queries(prompts)[1], cells, gallery, pairs, right)
    return both, one, other, 100 * float(right.mean()), covered


def _mean_ap(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    ranked = rank_by_score(scores)
    return 100 * mean_average_precision(np.take_along_axis(right, ranked, axis=1))


def _pairs(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    return np.stack([random.choice(_THINGS, 2, replace=False) for _ in range(count)])


def _other_pairs(
    random: np.random.Generator, seen: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """So many pairs of things that are in no scene together."""
    known = {frozenset(pair) for pair in seen.tolist()}
    drawn = _pairs(random, 4 * count)
    return np.array([pair for pair in drawn.tolist() if frozenset(pair) not in known])[:count]


def _gallery(
    pairs: NDArray[np.int64], random: np.random.Generator
) -> tuple[Scenes, NDArray[np.bool_]]:
    """Two scenes of each pair, two of either thing with another, and which answer which pair."""
    rows = []
    for one, other in pairs.tolist():
        rows += [(one, other), (other, one)]
        for thing in (one, one, other, other):
            rows.append((thing, int(random.choice(np.setdiff1d(np.arange(_THINGS), [one, other])))))
    things = np.array(rows, np.int64)
    asked = np.sort(pairs, axis=1)[:, None]
    right = (asked == np.sort(things, axis=1)[None]).all(2)
    return scenes(things, random, tested=True), right


def _masks(
    interface: InterleavedInterface,
    entities: Tensor,
    cells: Tensor,
    gallery: Scenes,
    pairs: NDArray[np.int64],
    right: NDArray[np.bool_],
) -> list[float]:
    """IoU of both things' masks in the scenes of their pair, and of all pixels, in per cent."""
    found: list[list[float]] = [[], [], []]
    for query, scene in np.argwhere(right):
        logits = interface.masks(entities[query, None], cells[scene, None])
        large = functional.interpolate(logits, (SIDE, SIDE), mode="bilinear", align_corners=False)
        for number, mask in enumerate((large[0] > 0).numpy()):
            true = gallery.masks[scene, list(gallery.things[scene]).index(pairs[query, number])]
            found[number].append(float((mask & true).sum() / (mask | true).sum()))
            found[2].append(float(true.mean()))
    return [100 * float(np.mean(each)) for each in found]


@cache
def _training(smoke: bool) -> Training:
    """Scenes to train on, encoded once a process."""
    random, examples = np.random.default_rng(0), 1 if smoke else _SHOWN
    things = _pairs(random, 8 if smoke else _TRAINING)
    alone = np.repeat(np.arange(_THINGS), examples)[:, None]
    return Training(
        things,
        scenes(things, random, tested=False),
        scenes(alone, random, tested=False),
        examples,
    )


def _trained(lab: Lab, training: Training, random: np.random.Generator) -> InterleavedInterface:
    """In each step prompts are drawn for the things of some scenes, shown or said."""
    things, seen, alone = training.things, training.seen, training.alone
    shares, covered, texts = alone.covered()[:, 0], seen.covered(), texts_of(lab.smoke).all
    interface = InterleavedInterface(
        [each.shape[1] for each in seen.maps], WIDTH, width=_WIDTH, layers=1
    )
    steps = lab.steps(_STEPS)
    optimizer = torch.optim.AdamW(interface.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 2))
    interface.train()
    for _ in range(steps):
        rows = random.choice(len(things), min(_BATCH, len(things)), replace=False)
        wanted = things[rows]
        example = wanted * training.examples
        example = (example + random.integers(training.examples, size=wanted.shape)).ravel()
        shown = interface.shown([each[example] for each in alone.maps], shares[example])
        words = [texts[thing][random.integers(len(texts[thing]))] for thing in wanted.ravel()]
        said = interface.said(torch.from_numpy(np.stack(words)))
        in_words = torch.from_numpy(random.random(wanted.size) < 0.5)[:, None]
        prompts = torch.where(in_words, said, shown).reshape(*wanted.shape, -1)
        present = np.ones(wanted.shape, np.bool_)
        single = random.random(len(rows)) < _SINGLE
        present[single, random.integers(2, size=int(single.sum()))] = False
        images = interface.gallery([each[rows] for each in seen.maps])
        queries, entities = interface.queries(prompts, torch.from_numpy(present))
        others = np.roll(np.arange(len(rows)), 1)  # things that most of these scenes do not show
        loss = interface.loss(
            images,
            (queries, torch.cat([entities, entities[others]], 1)),
            torch.from_numpy(_answering(wanted, present)),
            torch.cat([covered[rows], _covered_by(wanted, wanted[others], covered[rows])], 1),
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return interface.eval()


def _answering(things: NDArray[np.int64], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``(b, b)``: whether a scene, a column, has all that the query of a row asks for."""
    there = (things[:, :, None, None] == things[None, None]).any(3)
    found: NDArray[np.bool_] = (there | ~present[:, :, None]).all(1)
    return found


def _covered_by(scene: NDArray[np.int64], asked: NDArray[np.int64], covered: Tensor) -> Tensor:
    """``(b, k, h, w)``: cells that the things asked for cover, of scenes that may not have them."""
    same = torch.from_numpy((asked[:, :, None] == scene[:, None]).astype(np.float32))
    return torch.einsum("bkt,bthw->bkhw", same, covered)
