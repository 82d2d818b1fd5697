"""How many photos a second can the one process write that Ray's workers send theirs to?

    python benchmarks/cluster_writer.py --image PHOTO --work DIR [--batches 60]

A photo is described once, as a worker does; then batches of 64 photos that differ from it in their
id and vector are written by `BatchWriter` into a gallery, embedded and with its vectors in a Milvus
server: catalogue, local features, regions and all. Measured are the time and the processor's time
of this process for each photo, and what it costs to receive one: its bytes when a worker sends it,
and unpacking these.
"""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from cluster_here import cluster_file, milvus
from glocal.gallery import Gallery
from glocal.gallery.batches import BATCH, BatchWriter, ReadFile
from glocal.gallery.describing import Description
from glocal.gallery.walk import FoundFile
from measure import arguments, print_table, write_results
from synthetic import Space


def reads(description: Description, space: Space, start: int) -> list[ReadFile]:
    """A batch of photos like one that was described."""
    found = []
    for number, vector in enumerate(space.draw(BATCH, seed=start), start):
        content = UUID(int=number + 1)
        found.append(
            ReadFile(
                Path("/photos") / f"album-{number // 500}",
                FoundFile(b"IMG_%08d.jpg" % number, 1_500_000, number, number),
                content,
                replace(
                    description,
                    content=replace(description.content, id=content),
                    features=replace(description.features, vector=vector),
                ),
            )
        )
    return found


def write(folder: Path, image: Path, batches: int, config: Path | None) -> dict[str, Any]:
    with Gallery(folder, cluster=config) as gallery:
        gallery._models.settle(None)
        gallery._regions.settle(None, gallery.encoder)
        describer = gallery._changes.describer()
        description = describer.describe(image.read_bytes(), image)
        writer = BatchWriter(gallery._context, "bench", lambda: None)
        space = Space(batches * BATCH, gallery.model.dim)
        times, spent, unpacking, size = [], 0.0, [], 0
        for number in range(batches):
            sent = [pickle.dumps(r, 5) for r in reads(description, space, number * BATCH)]
            size = sum(map(len, sent)) // BATCH
            began = time.process_time()
            batch = [pickle.loads(one) for one in sent]  # noqa: S301 - its own
            unpacking.append(time.process_time() - began)
            began, used = time.perf_counter(), time.process_time()
            writer.write(batch)
            times.append(time.perf_counter() - began)
            spent += time.process_time() - used
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        disk -= os.path.getsize(gallery._layout.model_file)
    return {
        "store": "embedded" if config is None else "milvus",
        "photos_per_s": BATCH / median(times),
        "writer_cpu_ms_a_photo": 1000 * spent / batches / BATCH,
        "unpacking_cpu_ms_a_photo": 1000 * median(unpacking) / BATCH,
        "kB_sent_a_photo": size / 1000,
        "kB_on_disk_a_photo": disk / batches / BATCH / 1000,
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--batches", type=int, default=60)
    options = parser.parse_args()
    if options.quick:
        options.batches = 5
    with TemporaryDirectory(dir=options.work) as place, milvus(Path(place) / "milvus") as server:
        config = cluster_file(Path(place) / "cluster.toml", server, None)
        rows = [
            write(Path(place) / name, options.image, options.batches, where)
            for name, where in (("embedded", None), ("cluster", config))
        ]
    print_table("one process that writes", list(rows[0]), [list(row.values()) for row in rows])
    write_results("cluster_writer", {"rows": rows}, quick=options.quick)


if __name__ == "__main__":
    main()
