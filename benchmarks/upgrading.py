"""What searches find and cost while a gallery is upgraded, from the first second to the last.

    python benchmarks/upgrading.py FOLDER [--old glocal-v1] [--new glocal-v2] [--many 100000]

Vectors of Grocery's test photos by two models (kept in FOLDER) are put into the stores of a real
catalogue: the old ones of all, and the new ones of a growing share. Queries are 800 photos, the
gallery is the rest; 1,000 of the gallery, drawn without labels, fit the bridges as `glocal upgrade`
does. Right is what has the query's label. `--many` measures processor time with as many made
vectors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bridge_spaces import model_of, photos, vectors_of
from glocal.encoders import load_encoder
from glocal.gallery.bridge_trial import BridgeTrial, try_bridges
from glocal.gallery.catalog import Catalog
from glocal.gallery.model_id import ModelId
from glocal.gallery.passage import Passage
from glocal.gallery.records import Attributes, Match, Record
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.mixed import MixedStore
from glocal.gallery.stores.waiting import Done, WaitingStore
from measure import machine

SHARES = (0.0, 0.25, 0.5, 0.75)
QUERIES, ANCHORS, DEEP = 800, 1_000, 100
RESULTS = Path(__file__).with_name("results") / "upgrading.json"
_PLAIN = Attributes((1,), 10, 10, 10)

Floats = NDArray[np.float32]
Search = Callable[[Floats, int], list[Match]]


def stores(
    catalog: Catalog, folder: Path, old: Floats, new: Floats, share: float, trial: BridgeTrial
) -> tuple[FlatStore, MixedStore]:
    """A store of the old vectors, and the stores of both with a share of the new ones."""
    done = np.random.default_rng(7).permutation(len(old))[: round(share * len(old))]
    old_rows, new_rows = RowTable(catalog, "old"), RowTable(catalog, f"new-{share}")
    plain, fresh = (
        FlatStore(folder, old.shape[1], old_rows),
        FlatStore(folder, new.shape[1], new_rows),
    )
    with catalog.change():
        if not plain.status().vectors:
            plain.upsert([Record(UUID(int=_id(n)), v, _PLAIN) for n, v in enumerate(old)])
        fresh.upsert([Record(UUID(int=_id(n)), new[n], _PLAIN) for n in done.tolist()])
    waiting = WaitingStore(folder, old.shape[1], old_rows, Done(new_rows))
    passage = Passage(trial.queries, trial.vectors, trial.scores, trial.region_scores)
    return plain, MixedStore(fresh, waiting, passage)


def _id(number: int) -> int:
    """An id whose halves both differ, as those of contents do."""
    return ((number + 1) << 64) + number + 1


def found(
    search: Search, queries: Floats, labels: list[str], wanted: list[str]
) -> dict[str, float]:
    """R@1, mAP@100 and processor time of a search, over queries."""
    first, precision = [], []
    began = time.process_time()
    answers = [search(query, DEEP) for query in queries]
    each = (time.process_time() - began) / len(queries)
    known = {label: labels.count(label) for label in set(wanted)}
    for matches, label in zip(answers, wanted, strict=True):
        right = np.array([labels[(m.id.int >> 64) - 1] == label for m in matches])
        first.append(bool(right[0]))
        at = np.cumsum(right) / np.arange(1, len(right) + 1)
        precision.append(float((at * right).sum() / max(min(known[label], DEEP), 1)))
    return {
        "r1": round(float(np.mean(first)), 4),
        "map": round(float(np.mean(precision)), 4),
        "ms": round(1000 * each, 2),
    }


def quality(old_name: str, new_name: str, folder: Path) -> dict[str, dict[str, float]]:
    """The figures of each stage of an upgrade on real photos."""
    taken = photos()
    files, labels = taken.files["test"], [str(x) for x in taken.labels["test"]]
    old = vectors_of(old_name, files, "test", folder)
    new = vectors_of(new_name, files, "test", folder)
    order = np.random.default_rng(0).permutation(len(files))
    asked, rows = order[:QUERIES], order[QUERIES:]
    anchors = np.random.default_rng(1).choice(rows, ANCHORS, replace=False)
    path = Path(model_of(new_name, folder / "models"))
    card = load_encoder(model_of(new_name, folder / "models")).card
    ids = [ModelId(name, 1, "", v.shape[1], name) for name, v in ((old_name, old), (new_name, new))]
    began = time.process_time()
    trial = try_bridges(path, card, ids[0], ids[1], old[anchors], new[anchors])
    results = {"fitting": {"seconds": round(time.process_time() - began, 2)}}
    if trial.measured is not None:
        results["without labels"] = {k: round(v, 4) for k, v in trial.measured.figures().items()}
    there, wanted = [labels[n] for n in rows], [labels[n] for n in asked]
    with (
        tempfile.TemporaryDirectory() as name,
        closing(Catalog(Path(name) / "c.sqlite")) as catalog,
    ):
        for share in SHARES:
            plain, mixed = stores(catalog, Path(name), old[rows], new[rows], share, trial)
            if not share:
                results["old model"] = found(plain.search, old[asked], there, wanted)
            results[f"{share:.0%} encoded"] = found(mixed.search, new[asked], there, wanted)
        rows_new = RowTable(catalog, "all")
        whole = FlatStore(Path(name), new.shape[1], rows_new)
        with catalog.change():
            whole.upsert([Record(UUID(int=_id(n)), v, _PLAIN) for n, v in enumerate(new[rows])])
        results["new model"] = found(whole.search, new[asked], there, wanted)
    return results


def cost(count: int) -> dict[str, dict[str, float]]:
    """Processor time with many made vectors: fitting, and searches of each stage."""
    random = np.random.default_rng(0)
    seen = random.normal(size=(count + 50, 64)).astype(np.float32)
    old, new = (
        _unit(np.tanh(seen @ random.normal(size=(64, dim)).astype(np.float32) / 8))
        for dim in (256, 512)
    )
    asked, old, new = new[count:], old[:count], new[:count]
    card = load_encoder().card
    ids = [ModelId(name, 1, "", dim, name) for name, dim in (("old", 256), ("new", 512))]
    began = time.process_time()
    trial = try_bridges(Path("none.onnx"), card, ids[0], ids[1], old[:2000], new[:2000])
    results = {"fitting 2,000": {"seconds": round(time.process_time() - began, 2)}}
    with (
        tempfile.TemporaryDirectory() as name,
        closing(Catalog(Path(name) / "c.sqlite")) as catalog,
    ):
        for share in SHARES:
            plain, mixed = stores(catalog, Path(name), old, new, share, trial)
            if not share:
                before = _unit(random.normal(size=(len(asked), 256)).astype(np.float32))
                results["old model"] = {"ms": _each(plain.search, before)}
            began = time.process_time()
            mixed.search(asked[0], 200)
            first = time.process_time() - began
            results[f"{share:.0%} encoded"] = {
                "ms": _each(mixed.search, asked),
                "first_ms": round(1000 * first, 1),
            }
    return results


def _each(search: Search, queries: Floats) -> float:
    search(queries[0], 200)
    began = time.process_time()
    for query in queries:
        search(query, 200)
    return round(1000 * (time.process_time() - began) / len(queries), 2)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--old", default="glocal-v1")
    parser.add_argument("--new", default="glocal-v2")
    parser.add_argument("--many", type=int, default=0)
    arguments = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if arguments.many:
        kept[f"{arguments.many} made vectors"] = {"machine": machine(), **cost(arguments.many)}
    else:
        title = f"{arguments.old} to {arguments.new}"
        found = quality(arguments.old, arguments.new, arguments.folder)
        kept[title] = {"machine": machine(), **found}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
