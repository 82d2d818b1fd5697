"""A gallery whose catalogue is in PostgreSQL: the same hits as an embedded one, and many writers.

    python benchmarks/cluster_catalogue.py PHOTOS --catalogue URI [--uri URI] [--count 200]
        [--queries 30] [--writers 2] [--work DIR]

So many photos, spread over all below PHOTOS, are copied into one folder for each writer and indexed
by ``glocal index``: into an embedded gallery, into one in the cluster by one process, and into
another one by one process for each folder at the same time. Hits are compared as
``cluster_same.py`` compares them, and by words. The processor time is of the processes alone that
index, not of the servers; how long the catalogue's lock was held is measured by a process that
indexes once more into a new gallery. ``--catalogue`` is the address of a PostgreSQL database in
which schemas can be made, and which are removed in the end; without ``--uri`` the server of PyPI's
package ``milvus`` is started in the work folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster_same import differences, served, tell, wait_for_index
from glocal.cluster.postgres import Postgres
from glocal.gallery import Gallery
from glocal.gallery.database import Database
from glocal.images import has_image_suffix
from measure import Ended, arguments, glocal_command, percentile, run_process, write_results

WORDS = ("milk", "apple pink", "juce", "golden")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--catalogue", required=True)
    parser.add_argument("--uri")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.count, options.queries = 40, 4
    with TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        folders = copied(options.photos, work / "photos", options.count, options.writers)
        with served(options.uri, work) as (uri, _):
            config = work / "cluster.toml"
            config.write_text(
                f'uri = "{uri}"\nprefix = "same"\ntimeout = 120\n'
                f'[catalogue]\nuri = "{options.catalogue}"\n'
            )
            found = compare(work, folders, config, options.queries)
        write_results("cluster_catalogue", found, quick=options.quick)


def copied(photos: Path, to: Path, count: int, writers: int) -> list[Path]:
    """A folder for each writer, with its share of the photos."""
    every = sorted(path for path in photos.rglob("*") if has_image_suffix(path.name))
    folders = [to / str(writer) for writer in range(writers)]
    for number in range(min(count, len(every))):
        source = every[number * len(every) // count]
        folder = folders[number % writers] / source.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / f"{number:05} {source.name}")
    return folders


def index(gallery: Path, folder: Path, config: Path | None) -> list[str | Path]:
    more: list[str | Path] = [] if config is None else ["--cluster", config]
    return [*glocal_command(), "index", "-g", gallery, *more, "--wait", "600", "--json", folder]


def compare(work: Path, folders: list[Path], config: Path, queries: int) -> dict[str, Any]:
    together = folders[0].parent
    one = work / "embedded"
    found: dict[str, Any] = {"writers": len(folders)}
    for name, place in (("embedded", None), ("cluster", config)):
        first = run_process(index(work / name, together, place))
        again = run_process(index(work / name, together, None))
        found[name] = {"first": figures(first), "again": figures(again)}
        print(name, json.dumps(found[name]))
    made = work / "writers"
    began = time.perf_counter()
    running = [subprocess.Popen(index(made, folder, config), stdout=-1) for folder in folders]
    said = [json.loads(each.communicate()[0]) for each in running]
    found["at_once"] = {
        "seconds": time.perf_counter() - began,
        "added": sum(each["added"] for each in said),
    }
    print("at once", json.dumps(found["at_once"]))
    for name in ("cluster", "writers"):
        with Gallery(one) as right, Gallery(work / name) as other:
            wait_for_index(other)
            found[f"hits_{name}"] = differences(right, other, queries)
            words = [text for text in WORDS if same_words(right, other, text)]
            found[f"words_{name}"] = f"{len(words)} of {len(WORDS)} the same"
            found[f"sound_{name}"] = other.check().faults()
            tell(f"embedded and {name}", found[f"hits_{name}"])
            print(found[f"words_{name}"], found[f"sound_{name}"])
    held = work / "held"
    with Gallery(held, cluster=config) as gallery, locks_timed() as seconds:
        gallery.add(together)
    found["lock_held_ms"] = held_figures(seconds)
    print("lock held", json.dumps(found["lock_held_ms"]))
    with Gallery(work / "lock", create=True) as gallery, locks_timed() as seconds:
        gallery.add(together)
    found["lock_held_embedded_ms"] = held_figures(seconds)
    print("lock held, embedded", json.dumps(found["lock_held_embedded_ms"]))
    for name in ("cluster", "writers", "held"):
        with Gallery(work / name) as gallery:
            collection = gallery.opened().context.store.vectors_there  # type: ignore[attr-defined]
            collection.drop()
            schema = gallery.info().catalogue
        Postgres(config, str(schema)).drop()
    return found


def figures(ended: Ended) -> dict[str, float]:
    said = json.loads(ended.output)
    return {
        "added": said["added"],
        "unchanged": said["unchanged"],
        "seconds": ended.seconds,
        "processor_s": ended.processor_seconds,
    }


def same_words(one: Gallery, other: Gallery, text: str) -> bool:
    lists = [[(h.id, h.score) for h in each.search(text=text, limit=50)] for each in (one, other)]
    return len(lists[0]) > 0 and lists[0] == lists[1]


@contextmanager
def locks_timed() -> Iterator[list[float]]:
    """The milliseconds of every change of a catalogue in this process, the waiting not counted."""
    seconds: list[float] = []
    change = Database.change

    @contextmanager
    def timed(database: Database) -> Iterator[Any]:
        within = database.changing
        with change(database) as db:
            began = time.perf_counter()
            yield db
        if not within and "words" not in database.path.name:
            seconds.append((time.perf_counter() - began) * 1000)

    Database.change = timed  # type: ignore[method-assign, assignment]
    try:
        yield seconds
    finally:
        Database.change = change  # type: ignore[method-assign]


def held_figures(milliseconds: list[float]) -> dict[str, float]:
    return {
        "changes": len(milliseconds),
        "sum": sum(milliseconds),
        "median": percentile(milliseconds, 0.5),
        "most": max(milliseconds),
    }


if __name__ == "__main__":
    main()
