"""Measure what each method of re-ranking gains and costs: mAP, recall@1 and milliseconds a query.

    python benchmarks/reranking.py [--model NAME-OR-FILE] [--choosing] [--json FIGURES.json]

It reads the Grocery Store dataset and the scenes beside the repository (``../shared/data``) and
skips what is absent. Every method runs with its default settings. These were chosen on what
``--choosing`` prints, Grocery's validation and training photos, and not on the test columns.
Vectors are kept in the folder for temporary files. The milliseconds are those of re-ranking alone,
the median over all queries; set OMP_NUM_THREADS=1 to measure one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from default_model import DATA, Pixels, grocery_icons, grocery_split, scene_photos
from glocal.encoders import DEFAULT_MODEL, Encoder, LocalFeatures, load_encoder
from glocal.evaluate import mean_average_precision, recall_at
from glocal.images import load
from glocal.ranking import TOP
from glocal.ranking.maxsim import max_similarity
from glocal.ranking.muvera import FixedEncoding
from glocal.ranking.reranking import LOCAL, Compare, Rerank
from glocal.registry import load as load_part
from glocal.registry import names

Vectors = NDArray[np.float32]
Score = Callable[[int, NDArray[np.intp]], Vectors]
"""Of a query, by number, and its candidates, by number: a score for each."""


@dataclass(frozen=True)
class Set:
    """Encoded images: vectors ``(n, d)``, local descriptors ``(n, m, e)`` and labels ``(n,)``."""

    vectors: Vectors
    descriptors: Vectors
    labels: NDArray[np.str_]

    def __getitem__(self, chosen: slice) -> Set:
        return Set(self.vectors[chosen], self.descriptors[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Task:
    """Queries of a gallery; ``own`` is each query's own place in it, or empty."""

    name: str
    queries: Set
    gallery: Set
    own: NDArray[np.intp]


@dataclass(frozen=True)
class Figures:
    mean_ap: float
    recall_1: float
    milliseconds: float


def encoded(
    encoder: Encoder, name: str, images: Sequence[Path | Pixels], labels: Sequence[str]
) -> Set:
    """Encode images, or read what an earlier run kept of them."""
    card = encoder.card
    kept = Path(tempfile.gettempdir()) / f"glocal-{card.name}-{card.version}-{name}.npz"
    if kept.is_file():
        with np.load(kept) as file:
            if list(file["labels"]) == list(labels):
                return Set(file["vectors"], file["descriptors"], file["labels"])
    all_of_it = [encoder.encode([load(image, min_side=320).array])[0] for image in images]
    made = Set(
        np.stack([each.vector for each in all_of_it]),
        np.stack([each.descriptors for each in all_of_it]),
        np.array(labels),
    )
    np.savez(kept, vectors=made.vectors, descriptors=made.descriptors, labels=made.labels)
    return made


def joined(first: Set, second: Set) -> Set:
    return Set(
        np.concatenate([first.vectors, second.vectors]),
        np.concatenate([first.descriptors, second.descriptors]),
        np.concatenate([first.labels, second.labels]),
    )


def ranked_relevance(
    scores: NDArray[np.floating], relevant: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Relevance by descending score; of those that tie the wrong ones come first."""
    return relevant[np.lexsort((relevant, -scores))]


def evaluate(task: Task, gallery: Vectors, score: Score | None) -> Figures:
    rows, times = [], []
    for number, query in enumerate(task.queries.vectors):
        scores = gallery @ query
        relevant = task.gallery.labels == task.queries.labels[number]
        if task.own.size:
            scores, relevant = (
                np.delete(values, task.own[number]) for values in (scores, relevant)
            )
        rest = np.argsort(-scores, kind="stable")
        best, rest = rest[:TOP], rest[TOP:]
        if score is not None:
            places = best + (best >= task.own[number]) if task.own.size else best
            started = time.perf_counter()
            scores[best] = score(number, places)
            times.append(1000 * (time.perf_counter() - started))
        rows.append(
            np.concatenate(
                [ranked_relevance(scores[part], relevant[part]) for part in (best, rest)]
            )
        )
    return Figures(
        mean_average_precision(rows),
        recall_at(rows, 1),
        float(np.median(times)) if times else 0.0,
    )


def as_parts(images: Set) -> list[LocalFeatures]:
    return [
        LocalFeatures(np.zeros((len(rows), 2), np.float32), rows, np.ones(len(rows), np.float32))
        for rows in images.descriptors
    ]


def by_vectors(
    rerank: Rerank, queries: Vectors, gallery: Vectors, query: int, places: NDArray[np.intp]
) -> Vectors:
    return rerank(queries[query], gallery[places])


def by_features(
    compare: Compare,
    queries: list[LocalFeatures],
    gallery: list[LocalFeatures],
    query: int,
    places: NDArray[np.intp],
) -> Vectors:
    return np.array([compare(queries[query], gallery[place]) for place in places], np.float32)


def every_method(task: Task) -> dict[str, Figures]:
    gallery, queries = task.gallery.vectors, task.queries.vectors
    results = {"none": evaluate(task, gallery, None)}
    for name in names("reranker", without=LOCAL):
        rerank = load_part("reranker", name)
        results[name] = evaluate(task, gallery, partial(by_vectors, rerank, queries, gallery))
    asked, stored = as_parts(task.queries), as_parts(task.gallery)
    for name in names("reranker", trait=LOCAL):
        compare = load_part("reranker", name)
        results[name] = evaluate(task, gallery, partial(by_features, compare, asked, stored))
    for name in names("transform"):
        transformed = load_part("transform", name)(gallery)
        results[f"{name}, whole gallery"] = evaluate(task, transformed, None)
    return results


def choosing_tasks(encoder: Encoder, data: Path) -> list[Task]:
    """Validation photos have five or so of a kind, training photos about thirty."""
    sets = {}
    for split in ("val", "train"):
        paths, labels = grocery_split(data / "grocery", split)
        sets[split] = encoded(encoder, f"grocery-{split}", paths, labels)
    val, train = sets["val"], sets["train"]
    # Every eleventh training photo was left out when the default model's projections were fitted.
    unseen = np.arange(0, len(train.labels), 11)
    return [
        Task("validation to training photos", val, train, np.empty(0, np.intp)),
        Task("validation photo to photos", val, val, np.arange(len(val.labels))),
        Task("training photo to photos", train[::11], train, unseen),
    ]


def test_tasks(encoder: Encoder, data: Path) -> list[Task]:
    tasks = []
    shop: Set | None = None
    if (data / "grocery" / "dataset").is_dir():
        paths, labels = grocery_split(data / "grocery", "test")
        shop = encoded(encoder, "grocery-test", paths, labels)
        icons = encoded(encoder, "grocery-icons", *grocery_icons(data / "grocery"))
        tasks.append(Task("Grocery photo to photos", shop, shop, np.arange(len(shop.labels))))
        tasks.append(Task("Grocery product image to photos", icons, shop, np.empty(0, np.intp)))
    if (data / "scenes" / "labels.csv").is_file():
        paths, labels = scene_photos(data / "scenes")
        scenes = encoded(encoder, "scenes", paths, labels)
        asked = np.flatnonzero(scenes.labels != "distractor")
        queries = Set(scenes.vectors[asked], scenes.descriptors[asked], scenes.labels[asked])
        everything = scenes
        if shop is not None:
            strangers = np.char.add("shop ", shop.labels)
            everything = joined(scenes, Set(shop.vectors, shop.descriptors, strangers))
        tasks.append(Task("Scenes among Grocery photos", queries, everything, asked))
    return tasks


def pasted(paths: Sequence[Path], backgrounds: Sequence[Path]) -> list[Pixels]:
    """Each photo somewhere in another, a quarter to a half as wide: a small object in a scene."""
    random, made = np.random.default_rng(0), []
    for path, background in zip(paths, backgrounds, strict=True):
        scene = Image.fromarray(load(background, min_side=320).array).resize((640, 640))
        side = int(640 * random.uniform(0.25, 0.5))
        photo = Image.fromarray(load(path, min_side=320).array).resize((side, side))
        left, top = random.integers(0, 640 - side + 1, 2)
        scene.paste(photo, (int(left), int(top)))
        made.append(np.asarray(scene))
    return made


def shrunk_descriptors(encoder: Encoder, path: Path) -> Vectors:
    """Descriptors of a photo at a third of its size, on a grey background."""
    photo = Image.fromarray(load(path, min_side=320).array).resize((320, 320))
    ground = Image.new("RGB", (960, 960), (128, 128, 128))
    ground.paste(photo, (320, 320))
    features = encoder.encode([np.asarray(ground)])[0]
    on_photo = ((features.keypoints > 1 / 3) & (features.keypoints < 2 / 3)).all(axis=1)
    return features.descriptors[on_photo]


def local_ranking(
    queries: Set, local: Sequence[Vectors], gallery: Set, own: NDArray[np.intp]
) -> dict[str, object]:
    """By the whole vector, by MUVERA's encoding, by exact MaxSim, and by MaxSim of its best."""
    encoding = FixedEncoding(gallery.descriptors.shape[2])
    started = time.perf_counter()
    encodings = encoding.encode_documents(list(gallery.descriptors))
    figures: dict[str, object] = {
        "numbers in an encoding": encoding.dim,
        "ms to encode an image": 1000 * (time.perf_counter() - started) / len(encodings),
    }
    ways: dict[str, list[NDArray[np.bool_]]] = {
        name: [] for name in ("vector", "encoding", "MaxSim of all", "MaxSim of the best 100")
    }
    found, times = [], []
    for number, query in enumerate(queries.vectors):
        relevant = gallery.labels == queries.labels[number]
        if own.size:
            relevant[own[number]] = False
        near = encodings @ encoding.encode_query(local[number])
        exact = max_similarity(local[number], list(gallery.descriptors))
        whole = gallery.vectors @ query
        if own.size:
            near[own[number]] = exact[own[number]] = whole[own[number]] = -9
        order = np.argsort(-near, kind="stable")
        started = time.perf_counter()
        max_similarity(local[number], [gallery.descriptors[place] for place in order[:100]])
        times.append(1000 * (time.perf_counter() - started))
        best = near - 100
        best[order[:100]] = exact[order[:100]]
        found.append(np.isin(np.argsort(-exact)[:10], order[:100]).mean())
        for name, scores in zip(ways, (whole, near, exact, best), strict=True):
            ways[name].append(ranked_relevance(scores, relevant))
    figures["share of MaxSim's first 10 in the encoding's first 100"] = float(np.mean(found))
    figures["ms for MaxSim of 100"] = float(np.median(times))
    for name, rows in ways.items():
        figures[name] = {
            "mAP": mean_average_precision(rows),
            "recall@1": recall_at(rows, 1),
            "recall@10": recall_at(rows, 10),
        }
    return figures


def local_figures(encoder: Encoder, grocery: Path) -> dict[str, object]:
    paths, labels = grocery_split(grocery, "test")
    shop = encoded(encoder, "grocery-test", paths, labels)
    every_12th = shop[::12]
    # Shuffled, so that photo and background are of different kinds.
    order = np.random.default_rng(0).permutation(len(paths))
    asked, behind, others = order[:200], order[200:400], order[400:1400]
    names = [str(number) for number in range(200)]
    asked_paths = [paths[place] for place in asked]
    scenes = pasted(asked_paths, [paths[place] for place in behind])
    small = encoded(encoder, "pasted", scenes, names)
    rest = Set(shop.vectors[others], shop.descriptors[others], np.full(1000, "another"))
    gallery = joined(small, rest)
    queries = Set(shop.vectors[asked], shop.descriptors[asked], np.array(names))
    shrunk = [shrunk_descriptors(encoder, path) for path in asked_paths]
    nobody = np.empty(0, np.intp)
    return {
        "local: photo to photos": local_ranking(
            every_12th, list(every_12th.descriptors), shop, np.arange(0, len(paths), 12)
        ),
        "local: photo to the scene it is a small part of": local_ranking(
            queries, list(queries.descriptors), gallery, nobody
        ),
        "local: the same, the query shrunk to a third": local_ranking(
            queries, shrunk, gallery, nobody
        ),
    }


def print_table(tasks: Sequence[Task], results: dict[str, dict[str, Figures]]) -> None:
    print("| method | " + " | ".join(f"{task.name}: mAP, R@1" for task in tasks) + " | ms |")
    print("| --- |" + " ---: |" * (len(tasks) + 1))
    for method in results[tasks[0].name]:
        row = [results[task.name][method] for task in tasks]
        cells = [f"{100 * each.mean_ap:.1f}, {100 * each.recall_1:.1f}" for each in row]
        print(f"| {method} | {' | '.join(cells)} | {row[0].milliseconds:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundled name, file or hub name")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--choosing", action="store_true", help="evaluate on the sets that settings were chosen on"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    make: Callable[[Encoder, Path], list[Task]]
    make = choosing_tasks if options.choosing else test_tasks
    tasks = make(encoder, options.data)
    if not tasks:
        parser.exit(1, f"neither Grocery nor the scenes are in {options.data}\n")
    results = {task.name: every_method(task) for task in tasks}
    print_table(tasks, results)
    figures: dict[str, object] = {
        name: {method: vars(each) for method, each in methods.items()}
        for name, methods in results.items()
    }
    grocery = options.data / "grocery"
    if not options.choosing and (grocery / "dataset").is_dir():
        figures |= local_figures(encoder, grocery)
        for name in list(figures)[-3:]:
            print(f"\n{name}\n{json.dumps(figures[name], indent=2)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
