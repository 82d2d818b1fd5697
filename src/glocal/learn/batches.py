"""Choose the images of each training step and load them; the same seed gives the same steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glocal.learn.augment.cutmix import cutmix

_TOGETHER = 4  # images of one label in a batch, if the label has that many


@dataclass(frozen=True, slots=True)
class Slot:
    """One position in a batch.

    Attributes:
        image: number of the image in the collection.
        label: number of its label; for views, the number of the image.
        view: whether it is a view for self-supervised learning.
    """

    image: int
    label: int
    view: bool


class Plan:
    """Which images make each step of a training; steps may be read in any order.

    Args:
        labels: ``(n,)`` int64, label of each image; -1 if it has none.
        labelled: number of labelled images in a batch; 0 for none.
        viewed: number of images that come in two views each; 0 for none.
        seed: seed of the order.
    """

    def __init__(self, labels: NDArray[np.int64], *, labelled: int, viewed: int, seed: int) -> None:
        self.labels, self.labelled, self.viewed, self.seed = labels, labelled, viewed, seed
        self._labelled_count = int((labels >= 0).sum()) if labelled else 0
        # An order holds for a whole epoch: keep the last one of each kind.
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    @property
    def epoch_steps(self) -> int:
        """Number of steps in which every image is used about once."""
        need = [
            -(-count // size)
            for count, size in (
                (self._labelled_count, self.labelled),
                (len(self.labels), self.viewed),
            )
            if size and count
        ]
        return max(1, *need)

    def batch(self, step: int) -> list[Slot]:
        """The slots of a step, counted from 0: labelled images, first views, second views."""
        own = self._take("labelled", step, self.labelled)
        twice = self._take("viewed", step, self.viewed)
        views = [Slot(int(image), int(image), True) for image in twice]
        return [Slot(int(p), int(self.labels[p]), False) for p in own] + views + views

    def _take(self, kind: str, step: int, count: int) -> NDArray[np.int64]:
        taken: list[NDArray[np.int64]] = []
        begin, left = step * count, count
        while left:
            total = self._labelled_count if kind == "labelled" else len(self.labels)
            epoch, place = divmod(begin, total)
            part = self._order(kind, epoch)[place : place + left]
            taken.append(part)
            begin, left = begin + len(part), left - len(part)
        return np.concatenate(taken) if taken else np.empty(0, np.int64)

    def _order(self, kind: str, epoch: int) -> NDArray[np.int64]:
        known = self._orders.get(kind)
        if known is None or known[0] != epoch:
            random = np.random.default_rng([self.seed, 1, kind == "viewed", epoch])
            order = (
                self._grouped(random)
                if kind == "labelled"
                else random.permutation(len(self.labels))
            )
            known = self._orders[kind] = (epoch, order)
        return known[1]

    def _grouped(self, random: np.random.Generator) -> NDArray[np.int64]:
        """All labelled images, a few of each label next to each other: objectives compare them."""
        groups = []
        for label in range(int(self.labels.max()) + 1):
            own = random.permutation(np.flatnonzero(self.labels == label))
            # Groups of even size: one image left over would have no partner.
            groups += np.array_split(own, max(1, round(len(own) / _TOGETHER)))
        return np.concatenate([groups[number] for number in random.permutation(len(groups))])


Loader = Callable[[Slot, np.random.Generator], NDArray[np.uint8]]
"""Makes the image ``(side, side, 3)`` of a slot; all randomness comes from the generator."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The images that one step learns from.

    Attributes:
        images: ``(b, side, side, 3)`` uint8: labelled images, first views, second views.
        labels: ``(b,)`` int64: the label of a labelled image, the number of the image of a view.
        labelled: number of labelled images.
        numbers: ``(b,)`` int64: number of each image among those that are trained on.
        second: ``(b,)`` int64: number of the other image of a mixed view, -1 elsewhere; None if
            no view is mixed.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    labelled: int
    numbers: NDArray[np.int64]
    second: NDArray[np.int64] | None = None


def mix(batch: Batch, share: float, random: np.random.Generator) -> Batch:
    """Paste a rectangle of another image's view over some of the views, as `cutmix` does.

    Such a view shows two images, and `glocal.learn.objectives.instance` pulls it to the views of
    both. Rectangles come from views that are not mixed themselves.

    Args:
        batch: batch without mixed views; it is not changed.
        share: approximate share of the views to mix, in [0, 1].
        random: chooses the views and rectangles.
    """
    images, second = batch.images.copy(), np.full(len(batch.labels), -1, np.int64)
    for view in range(batch.labelled, len(images)):
        if random.random() >= share:
            continue
        others = np.flatnonzero(batch.labels != batch.labels[view])
        others = others[others >= batch.labelled]
        if len(others):
            other = int(random.choice(others))
            images[view], _ = cutmix(batch.images[view], batch.images[other], random)
            second[view] = batch.labels[other]
    return replace(batch, images=images, second=second)


def stream(
    plan: Plan, load: Loader, *, first: int, workers: int, mixed: float = 0.0
) -> Generator[Batch, None, None]:
    """Yield batches in order and without end, prepared ahead in threads.

    Args:
        plan: which images make each batch.
        load: makes an image; may be called from several threads at once.
        first: first step, counted from 0.
        workers: number of threads.
        mixed: share of the views that are mixed from two images.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="glocal-load")
    waiting: deque[tuple[list[Slot], list[Future[NDArray[np.uint8]]]]] = deque()
    step = given = first
    try:
        while True:
            while len(waiting) < 3:
                slots = plan.batch(step)
                seeds = [np.random.default_rng([plan.seed, 2, step, n]) for n in range(len(slots))]
                futures = [
                    pool.submit(load, slot, random)
                    for slot, random in zip(slots, seeds, strict=True)
                ]
                waiting.append((slots, futures))
                step += 1
            slots, futures = waiting.popleft()
            images = np.stack([future.result() for future in futures])
            labels = np.array([slot.label for slot in slots], np.int64)
            numbers = np.array([slot.image for slot in slots], np.int64)
            batch = Batch(images, labels, sum(not slot.view for slot in slots), numbers)
            if mixed:
                batch = mix(batch, mixed, np.random.default_rng([plan.seed, 5, given]))
            given += 1
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
