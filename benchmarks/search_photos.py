"""What a search with its defaults costs on real photos: processor time, and each stage's median.

    python benchmarks/search_photos.py [--quick]

The gallery holds the scenes and every eighth of Grocery's test photos; the queries are photos of
the gallery. Unlike `search_latency.py` nothing is synthetic: many hits agree with their query, so
that verification and the comparison of pixels do all their work. To compare with another checkout,
run this file with its ``src`` in PYTHONPATH.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from glocal.gallery import Gallery
from measure import arguments, print_table, write_results

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def main() -> None:
    parser = arguments(__doc__ or "")
    options = parser.parse_args()
    every = 12 if options.quick else 4
    scenes = sorted((DATA / "scenes").rglob("*.jpg"))
    shop = sorted((DATA / "grocery" / "dataset" / "test").rglob("*.jpg"))[::8]
    rows, figures = [], {}
    with TemporaryDirectory() as temporary, Gallery(Path(temporary) / "gallery") as gallery:
        gallery.add(*scenes, *shop)
        for name, queries in (("scenes", scenes[::every]), ("grocery", shop[:: 2 * every])):
            gallery.search(queries[0])  # whatever is loaded at first
            began = time.process_time()
            stages = [gallery.search(query).timings_ms for query in queries]
            spent = 1000 * (time.process_time() - began) / len(queries)
            medians = {stage: median(one[stage] for one in stages) for stage in stages[0]}
            rows.append((name, len(queries), spent, *medians.values()))
            figures[name] = {"processor_ms": spent, **medians}
    print_table("Milliseconds a search", ["", "queries", "processor", *medians], rows)
    write_results("search_photos", figures, quick=options.quick)


if __name__ == "__main__":
    main()
