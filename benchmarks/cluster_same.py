"""Does a gallery in a cluster find the same as an embedded one, and what does it cost?

    python benchmarks/cluster_same.py GALLERY [--uri URI] [--count 2000] [--queries 40] [--work DIR]
        [--postgres]

GALLERY is an embedded gallery of real photos, which is copied and not changed. So many of its
images are kept; one copy moves into a Milvus server (`glocal move`), whose index is built before
anything is compared. Queries are files of the gallery as they are, made smaller and compressed
again, and cut to 80 %: searched with all defaults, without verification, exactly and under a
condition. Two lists of hits are the same when they have the same images, or others only where
scores are equal, and scores differ by less than 1e-3. Then the copy moves back and is compared
again. Without ``--uri`` the server of PyPI's package ``milvus`` is started in the work folder. With
``--postgres`` the catalogue moves too, into a PostgreSQL server of its own.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from PIL import Image

from cluster_here import catalogue
from glocal.cluster.config import ClusterConfig
from glocal.cluster.moving import to_cluster, to_folder
from glocal.cluster.server import Server
from glocal.gallery import Gallery
from measure import arguments, print_table, write_results

TOLERANCE = 1e-3
DEPTH = 20


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--uri")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--postgres", action="store_true", help="the catalogue moves too")
    options = parser.parse_args()
    if options.quick:
        options.count, options.queries = 100, 4
    with TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        with (
            served(options.uri, work) as (uri, _),
            catalogue(there=options.postgres) as postgres,
        ):
            config = work / "cluster.toml"
            config.write_text(f'uri = "{uri}"\nprefix = "same"\n')
            if postgres is not None:
                with config.open("a") as file:
                    file.write(f'[catalogue]\nuri = "{postgres.uri}"\n')
            found: dict[str, Any] = {"server": Server(ClusterConfig(uri)).version()}
            found |= compare(options.gallery, config, work, options.count, options.queries)
            write_results("cluster_same", found, quick=options.quick)


@contextmanager
def served(
    uri: str | None, work: Path, settings: Mapping[str, object] = MappingProxyType({})
) -> Iterator[tuple[str, int | None]]:
    """The address of a server, and its process where it was started here, with these settings."""
    if uri is not None:
        yield uri, None
        return
    from milvus import MilvusServer

    server = MilvusServer()
    for name, value in settings.items():
        server.config.set(name, value)
    server.set_base_dir(str(work / "milvus"))
    server.start()
    try:
        yield f"http://127.0.0.1:{server.listen_port}", server.server_proc.pid
    finally:
        server.server_proc.kill()
        server.stop()


# The same hits


def compare(source: Path, config: Path, work: Path, count: int, queries: int) -> dict[str, Any]:
    for name in ("embedded", "cluster"):
        shutil.copytree(source, work / name)
        keep(work / name, count)
    with Gallery(work / "embedded") as one, Gallery(work / "cluster") as other:
        moved = to_cluster(other, config)
        indexed = wait_for_index(other)
        there = differences(one, other, queries)
        back = to_folder(other)
        again = differences(one, other, queries)
        images = one.info().images
    found = {
        "images": images,
        "indexed": indexed,
        "seconds_to_cluster": moved.seconds,
        "seconds_back": back.seconds,
        "compared_while_moving": moved.compared + back.compared,
        "rows_of_the_catalogue": moved.rows,
        "in_cluster": there,
        "back": again,
    }
    print(f"{images} images, {indexed} in the cluster's graph")
    print(f"moved in {moved.seconds:.1f} s, back in {back.seconds:.1f} s")
    tell("embedded and in the cluster", there)
    tell("embedded and moved back", again)
    return found


def keep(folder: Path, count: int) -> None:
    """Remove all images but so many, spread over all."""
    with Gallery(folder) as gallery:
        files = sorted(path for path, _ in gallery.opened().context.catalog.all_files())
        kept = {files[n * len(files) // count] for n in range(min(count, len(files)))}
        gone = [path for path in files if path not in kept]
        if gone:
            gallery.remove(*gone)


def wait_for_index(gallery: Gallery) -> int:
    store = gallery.opened().context.store.vectors_there  # type: ignore[attr-defined]
    store.server.call("flush", store.collection)
    ends = time.monotonic() + 300
    while (indexed := int(store.status().in_graph)) < store.status().vectors:
        if time.monotonic() > ends:
            break
        time.sleep(1)
    time.sleep(5)  # until the graph is loaded too
    return indexed


def altered(path: Path) -> Iterator[tuple[str, bytes]]:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    yield "as it is", path.read_bytes()
    width, height = image.size
    smaller = image.resize((max(width // 2, 32), max(height // 2, 32)))
    cut = image.crop((width // 10, height // 10, width * 9 // 10, height * 9 // 10))
    for name, made, quality in (("smaller", smaller, 50), ("cut", cut, 90)):
        file = io.BytesIO()
        made.save(file, "JPEG", quality=quality)
        yield name, file.getvalue()


WAYS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "vectors alone": {"verify": False, "regions": False, "rerank": "none"},
    "exact": {"verify": False, "regions": False, "rerank": "none", "exact": True},
    "condition": {
        "verify": False,
        "regions": False,
        "rerank": "none",
        "where": "width > 300 and not bytes > 60kB",
    },
}


def differences(one: Gallery, other: Gallery, queries: int) -> list[dict[str, Any]]:
    files = sorted(path for path, _ in one.opened().context.catalog.all_files())
    chosen = [files[n * len(files) // queries] for n in range(queries)]
    rows: dict[str, dict[str, Any]] = {
        way: {"way": way, "searches": 0, "same": 0, "ties": 0, "greatest": 0.0, "seconds": [[], []]}
        for way in WAYS
    }
    for path in chosen:
        for _, data in altered(path):
            query = one.query(data)
            for way, more in WAYS.items():
                lists = []
                for place, gallery in enumerate((one, other)):
                    began = time.perf_counter()
                    hits = gallery.search(query, limit=DEPTH, **more).hits
                    rows[way]["seconds"][place].append(time.perf_counter() - began)
                    lists.append([(h.id, h.score) for h in hits])
                count(rows[way], *lists)
    for row in rows.values():
        embedded, cluster = row.pop("seconds")
        row["embedded_ms"], row["cluster_ms"] = (
            round(1000 * median(times), 1) for times in (embedded, cluster)
        )
    return list(rows.values())


def count(
    row: dict[str, Any], one: list[tuple[str, float]], other: list[tuple[str, float]]
) -> None:
    """Count whether two lists of hits are the same."""
    row["searches"] += 1
    here, there = dict(one), dict(other)
    common = here.keys() & there.keys()
    greatest = max((abs(here[i] - there[i]) for i in common), default=0.0)
    row["greatest"] = max(row["greatest"], greatest)
    if len(one) != len(other) or greatest > TOLERANCE:
        return
    only = [here[i] for i in here.keys() - common] + [there[i] for i in there.keys() - common]
    last = min([score for _, score in [*one, *other]], default=0.0)
    if all(score <= last + TOLERANCE for score in only):
        row["same"] += 1
        row["ties"] += bool(only)


def tell(title: str, rows: list[dict[str, Any]]) -> None:
    print_table(title, list(rows[0]), [list(row.values()) for row in rows])


def disk(folder: Path) -> int:
    done = subprocess.run(["du", "-s", "-B1", folder], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


if __name__ == "__main__":
    main()
