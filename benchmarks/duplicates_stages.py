"""Where the first run of `glocal duplicates` spends its time: pairs and processor time by stage.

    python benchmarks/duplicates_stages.py [--quick] [--count N] [--first K] [--keep DIR]

The photos are those of `duplicates_speed`. Each pair of neighbours is verified by points; those
whose points agree beyond chance, and some that are tried whole on whole, have their small images
laid on one another; of what is left the files are read and compared in colour, which makes copies.
``--first`` looks for copies among so many neighbours of each image, 20 being all; ``--keep`` names
a folder in which the gallery stays.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from duplicates_speed import chosen
from glocal.gallery import Gallery, comparing
from glocal.gallery.candidates import FIRST, Neighbours
from glocal.gallery.comparing import Comparing
from glocal.gallery.grouping import Grouper
from glocal.gallery.originals import Originals
from measure import arguments, print_table, write_results

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("neighbours", Neighbours, "pairs"),
    ("loading local features", Comparing, "_load"),
    ("points", comparing, "pair_points"),
    ("laying small images", Comparing, "_aligned"),
    ("reading files", Originals, "pixels"),
    ("comparing in colour", comparing, "compare_pixels"),
    ("groups", Grouper, "group"),
)


class Clock:
    """Processor time and calls of stages, none of which is part of another one but reading."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.laid = 0

    def of(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **more: Any) -> Any:
            before = time.process_time()
            found = real(*given, **more)
            self.seconds[name] += time.process_time() - before  # type: ignore[assignment]
            self.calls[name] += 1
            if name == "laying small images":
                self.laid += len(found[0])
            return found

        return timed


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=3232, help="photos")
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--keep", type=Path, help="folder in which the gallery stays")
    options = parser.parse_args()
    count = 133 if options.quick else options.count
    clock = Clock()
    with TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)) / str(count)
        with Gallery(folder) as gallery:
            gallery.add(*chosen(count, folder.parent / f"made {count}"))
            for remembered in folder.glob("compared.sqlite*"):
                remembered.unlink()
            patches = [patch.object(comparing, "FIRST", options.first)]
            patches += [
                patch.object(owner, name, clock.of(stage, getattr(owner, name)))
                for stage, owner, name in STAGES
            ]
            for each in patches:
                each.start()
            before = time.process_time()
            groups = gallery.duplicates("copy")
            whole = time.process_time() - before
            for each in patches:
                each.stop()
    rows = [
        (stage, clock.calls[stage], clock.seconds[stage], 1000 * clock.seconds[stage] / count)
        for stage, *_ in STAGES
    ]
    print_table(
        f"{count} photos, the first {options.first} neighbours: {whole:.1f} s of the processor",
        ["", "calls", "s", "ms a photo"],
        rows,
    )
    print(f"{clock.laid} pairs were laid on one another; {len(groups)} groups")
    figures = {
        "images": count,
        "first": options.first,
        "seconds": whole,
        "pairs": clock.calls["points"],
        "laid": clock.laid,
        "compared_in_colour": clock.calls["comparing in colour"],
        "groups": len(groups),
        "by_stage": {stage: {"calls": calls, "seconds": took} for stage, calls, took, _ in rows},
    }
    write_results(f"duplicates_stages_{options.first}", figures, quick=options.quick)


if __name__ == "__main__":
    main()
