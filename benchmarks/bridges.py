"""Search a gallery of one model by queries of another, through every bridge.

    python benchmarks/bridges.py [--work FOLDER] [--json FIGURES.json]

It reads the Grocery Store dataset and the scenes beside the repository (``../shared/data``).
Evaluated are every other of Grocery's test photos (each among the others), its product images among
them, and the scenes among them all. Anchors are the other test photos and Grocery's training and
validation photos, in an order of their own; no anchor is evaluated. glocal's version 2 was trained
with the labels of the training photos, the other models saw none of them. Scenes have nothing in
common with the anchors.

Each bridge is fitted and measured as `glocal.upgrade.fit_bridge` does, without labels. Bridges that
take queries of both models are in a table of their own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge_spaces import Vectors, photos, vectors_of
from glocal.evaluate import evaluate_cross
from glocal.registry import names, part
from glocal.upgrade import Bridge, fit_bridge
from measure import machine

PAIRS = (
    ("glocal-v1", "glocal-v2"),
    ("lite0-gem", "glocal-v2"),
    ("lite0-gem", "lite1-gem"),
    ("lite0-gem", "lite2-gem"),
    ("glocal-v2", "lite2-gem"),
)
COUNTS = (250, 1_000, 4_000)
BOTH = "both-models"


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Vectors of one model; rows of all spaces are the same images."""

    anchors: Vectors
    test: Vectors
    products: Vectors
    scenes: Vectors


def spaces_of(names_: set[str], folder: Path) -> tuple[dict[str, Space], dict[str, np.ndarray]]:
    found = photos()
    order = np.random.default_rng(0).permutation(
        len(found.files["train"]) + len(found.files["val"]) + len(found.files["test"]) // 2
    )
    spaces = {}
    for name in sorted(names_):
        rows = {kind: vectors_of(name, files, kind, folder) for kind, files in found.files.items()}
        anchors = np.concatenate([rows["train"], rows["val"], rows["test"][1::2]])[order]
        spaces[name] = Space(anchors, rows["test"][::2], rows["products"], rows["scenes"])
    labels = {kind: np.asarray(each) for kind, each in found.labels.items()}
    return spaces, labels | {"test": labels["test"][::2]}


def figures(
    queries: Space, gallery: Space, labels: dict[str, np.ndarray], bridge: Bridge | None
) -> dict[str, list[float]]:
    """Recall@1 and mAP of the three evaluations."""

    def asked(rows: Vectors) -> Vectors:
        return rows if bridge is None else bridge.queries(rows)

    def kept(rows: Vectors) -> Vectors:
        return rows if bridge is None else bridge.gallery(rows)

    test, scenes = kept(gallery.test), kept(gallery.scenes)
    # Photos of groceries are distractors among scenes: a scene's label is never theirs.
    groceries = np.asarray([f"grocery {number}" for number in range(len(test))])
    found = {
        "test": evaluate_cross(
            asked(queries.test), labels["test"], test, labels["test"], same_images=True
        ),
        "products": evaluate_cross(
            asked(queries.products), labels["products"], test, labels["test"]
        ),
        "scenes": evaluate_cross(
            np.concatenate([asked(queries.scenes), asked(queries.test)]),
            np.concatenate([labels["scenes"], groceries]),
            np.concatenate([scenes, test]),
            np.concatenate([labels["scenes"], groceries]),
            same_images=True,
        ),
    }
    return {
        name: [round(each.recall_at_1, 4), round(each.mean_ap, 4)] for name, each in found.items()
    }


def both(old: Space, new: Space) -> Space:
    """Queries that both models encoded."""
    kinds = ("anchors", "test", "products", "scenes")
    joined = {k: np.concatenate([getattr(old, k), getattr(new, k)], axis=1) for k in kinds}
    return Space(**joined)


def rows_of(spaces: dict[str, Space], labels: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for old_name, new_name in PAIRS:
        old, new = spaces[old_name], spaces[new_name]
        pair = {"old": old_name, "new": new_name}
        yield pair | {"bridge": "old-old", "figures": figures(old, old, labels, None)}
        yield pair | {"bridge": "new-new", "figures": figures(new, new, labels, None)}
        for name in names("bridge"):
            joined = BOTH in part("bridge", name).traits
            queries = both(old, new) if joined else new
            for count in COUNTS:
                started = time.process_time()
                fitted = fit_bridge(old.anchors[:count], queries.anchors[:count], name=name)
                yield pair | {
                    "bridge": name,
                    "anchors": count,
                    "keeps_gallery": fitted.bridge.keeps_gallery,
                    "both_models": joined,
                    "processor_seconds": round(time.process_time() - started, 2),
                    "figures": figures(queries, old, labels, fitted.bridge),
                    "measured": {k: round(v, 4) for k, v in fitted.measured.figures().items()},
                }


def shown(row: dict[str, Any]) -> str:
    cells = "  ".join(f"{kind} {r1:.3f} {ap:.3f}" for kind, (r1, ap) in row["figures"].items())
    measured = " ".join(f"{k} {v:.3f}" for k, v in row.get("measured", {}).items())
    return f"{row['bridge']:<14}{row.get('anchors', ''):>5}  {cells}  {measured}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("bridges-work"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    spaces, labels = spaces_of({name for pair in PAIRS for name in pair}, options.work)
    rows = []
    for row in rows_of(spaces, labels):
        if row["bridge"] == "old-old":
            print(f"{row['old']} -> {row['new']}: recall@1 and mAP")
        print(shown(row), flush=True)
        rows.append(row)
    if options.json is not None:
        result = {"command": "python benchmarks/bridges.py", "machine": machine(), "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
