"""The ground truth of revisited Oxford and Paris, and its file formats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.plain_pickle import MAX_BYTES, read_plain_pickle

FORMAT = "glocal-ground-truth"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """For each query, the database images that show the same thing, by difficulty.

    Database images in none of a query's three lists are negatives. Radenović et al., Revisiting
    Oxford and Paris: Large-Scale Image Retrieval Benchmarking, CVPR 2018.

    Attributes:
        query_names: ``q`` names, as published, without folder or suffix.
        database_names: ``n`` names.
        easy: for each query ``(any,)`` int64 indices into the database, counted from 0.
        hard: like `easy`, for images that show the thing from afar, from the side, in part, or
            changed.
        junk: like `easy`, for images that may or may not show the thing and are ignored.
        boxes: ``(q, 4)`` float64: left, top, right, bottom of the query object in the query
            image's pixels; a row of nan if the query is the whole image.

    Raises:
        EvaluationError: on creation, if lengths differ or an index lies outside the database.
    """

    query_names: tuple[str, ...]
    database_names: tuple[str, ...]
    easy: tuple[NDArray[np.int64], ...]
    hard: tuple[NDArray[np.int64], ...]
    junk: tuple[NDArray[np.int64], ...]
    boxes: NDArray[np.float64]

    def __post_init__(self) -> None:
        queries, size = len(self.query_names), len(self.database_names)
        for name in ("easy", "hard", "junk"):
            lists = getattr(self, name)
            if len(lists) != queries:
                raise EvaluationError(f"{queries} queries but {len(lists)} lists of {name} images")
            for query, indices in zip(self.query_names, lists, strict=True):
                outside = indices[(indices < 0) | (indices >= size)]
                if outside.size:
                    raise EvaluationError(
                        f"the {name} images of query {query!r} include number {outside[0]}, but "
                        f"the database has {size}, counted from 0"
                    )
        if self.boxes.shape != (queries, 4):
            raise EvaluationError(
                f"boxes have shape {self.boxes.shape}; {queries} queries need ({queries}, 4)"
            )


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Read a published pickle (``gnd_roxford5k.pkl``, ``gnd_rparis6k.pkl``) or glocal's own JSON.

    The content decides which of the two it is, not the name. A pickle is decoded as data and never
    run: see `glocal.evaluate.plain_pickle`.

    Raises:
        EvaluationError: the file is missing, larger than 16 MiB, damaged, holds anything but plain
            data, or the ground truth is incomplete.
    """
    source = str(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise EvaluationError(f"the ground truth cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise EvaluationError(
            f"{source} has more than {MAX_BYTES} bytes, too many for a ground truth; check the path"
        )
    if data.lstrip()[:1] == b"{":
        return _from_json(data, source)
    return _from_published(read_plain_pickle(data, source), source)


def write_ground_truth(path: str | Path, truth: GroundTruth) -> None:
    """Write glocal's JSON format, which any program can read, as can `read_ground_truth`.

    Raises:
        OSError: the file cannot be written.
    """
    queries = [
        {
            "name": name,
            "easy": truth.easy[i].tolist(),
            "hard": truth.hard[i].tolist(),
            "junk": truth.junk[i].tolist(),
            "box": None if np.isnan(truth.boxes[i]).any() else truth.boxes[i].tolist(),
        }
        for i, name in enumerate(truth.query_names)
    ]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "database": list(truth.database_names),
        "queries": queries,
    }
    Path(path).write_text(json.dumps(document), encoding="utf-8")


def _from_published(value: object, source: str) -> GroundTruth:
    if not isinstance(value, dict):
        raise EvaluationError(f"{source} holds {type(value).__name__}, not a dict of ground truth")
    missing = [key for key in ("imlist", "qimlist", "gnd") if key not in value]
    if missing:
        raise EvaluationError(f"{source} lacks {missing}; a revisited ground truth has all three")
    return _assembled(value["imlist"], value["qimlist"], value["gnd"], "bbx", source)


def _from_json(data: bytes, source: str) -> GroundTruth:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{source} is not valid JSON: {error}") from error
    if value.get("format") != FORMAT or value.get("version") != VERSION:
        raise EvaluationError(
            f"{source} has format {value.get('format')!r} version {value.get('version')!r}, "
            f"but glocal reads {FORMAT!r} version {VERSION}"
        )
    queries = value.get("queries")
    if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
        raise EvaluationError(f"{source} lacks its list of queries")
    names = [query.get("name") for query in queries]
    return _assembled(value.get("database"), names, queries, "box", source)


def _assembled(
    database: object, names: object, entries: object, box_key: str, source: str
) -> GroundTruth:
    query_names = _names(names, "query names", source)
    if isinstance(entries, np.ndarray):
        entries = entries.tolist()
    if not isinstance(entries, (list, tuple)) or len(entries) != len(query_names):
        raise EvaluationError(f"{source} does not have one entry for each of its queries")
    lists: dict[str, list[NDArray[np.int64]]] = {"easy": [], "hard": [], "junk": []}
    boxes = []
    for name, entry in zip(query_names, entries, strict=True):
        if not isinstance(entry, dict):
            raise EvaluationError(f"{source}: the entry of query {name!r} is not a dict")
        for kind, indices in lists.items():
            if kind not in entry:
                hint = "; 'ok' is the older protocol, before the revision" if "ok" in entry else ""
                raise EvaluationError(f"{source}: query {name!r} has no {kind!r} images{hint}")
            indices.append(_indices(entry[kind], f"{source}: the {kind} images of {name!r}"))
        boxes.append(_box(entry.get(box_key), f"{source}: the box of {name!r}"))
    return GroundTruth(
        query_names=query_names,
        database_names=_names(database, "database names", source),
        easy=tuple(lists["easy"]),
        hard=tuple(lists["hard"]),
        junk=tuple(lists["junk"]),
        boxes=np.asarray(boxes, dtype=np.float64).reshape(len(boxes), 4),
    )


def _names(value: object, what: str, source: str) -> tuple[str, ...]:
    items = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise EvaluationError(f"{source}: the {what} are not a list of strings")
    return tuple(items)


def _flat(value: object) -> list[Any] | None:
    """The items of a list, or of an array with at most one long axis, as MATLAB makes them."""
    if isinstance(value, np.ndarray):
        single = value.size == max(value.shape, default=1)
        return list(value.ravel().tolist()) if single or value.size == 0 else None
    return list(value) if isinstance(value, (list, tuple)) else None


def _indices(value: object, what: str) -> NDArray[np.int64]:
    items = _flat(value)
    if items is None:
        raise EvaluationError(f"{what} are not a list of database indices")
    # MATLAB's numbers are floating-point, so a whole float is an index too.
    for item in items:
        whole = type(item) is int or (type(item) is float and item.is_integer())
        if not whole or abs(item) > np.iinfo(np.int32).max:
            shown = repr(item)[:60] if type(item) in (int, float, str) else type(item).__name__
            raise EvaluationError(f"{what} include {shown}, which is not a database index")
    return np.asarray([int(item) for item in items], dtype=np.int64)


def _box(value: object, what: str) -> list[float]:
    if value is None:
        return [float("nan")] * 4
    items = _flat(value)
    if items is None or len(items) != 4 or not all(type(item) in (int, float) for item in items):
        raise EvaluationError(f"{what} is not a list of four numbers: left, top, right, bottom")
    box = [float(item) for item in items]
    if not np.isfinite(box).all():
        raise EvaluationError(f"{what} is {box}; use finite numbers, or leave the box out")
    return box
