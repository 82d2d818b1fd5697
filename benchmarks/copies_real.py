"""Which real photos `glocal duplicates` calls copies of each other: there should be none.

    python benchmarks/copies_real.py [--quick] [--every N] [--keep DIR] [--model NAME-OR-FILE]

Every pair that is verified among the scenes and Grocery's test photos, which are photos of their
own, but for the few that people took twice without moving. Printed: how many pairs were verified
and how many of these were compared in colour, each pair that was called a copy, to be looked at,
and each file that was called spare. ``--every`` takes only each N-th run of 20 photos of
Grocery, ``--quick`` each eighth; ``--keep`` writes the pairs that were called copies side by side.
"""

from __future__ import annotations

import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from PIL import Image

from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Gallery
from glocal.gallery.comparing import Comparing
from glocal.gallery.duplicates import Level
from glocal.gallery.originals import Originals
from glocal.gallery.progress import quiet
from glocal.gallery.same_files import Disk
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits
from glocal.ranking.alignment import Alignment
from glocal.ranking.evidence import Verdict
from glocal.ranking.pixels import Comparison
from measure import arguments, print_table, write_results
from verification_sets import DATA, grocery

_SIDE = 640
_RUN = 20


class Counting(Comparing):
    """Counts the pairs that it compares in colour."""

    __slots__ = ("in_colour",)

    def _compared(self, first: UUID, second: UUID, aligned: Alignment) -> Comparison | None:
        self.in_colour = getattr(self, "in_colour", 0) + 1
        return super()._compared(first, second, aligned)


def side_by_side(pair: tuple[Path, Path], target: Path) -> None:
    page = Image.new("RGB", (2 * _SIDE, _SIDE))
    for number, path in enumerate(pair):
        with Image.open(path) as opened:
            opened.thumbnail((_SIDE, _SIDE))
            page.paste(opened.convert("RGB"), (number * _SIDE, 0))
    page.save(target)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--every", type=int, default=1, help=f"only each N-th {_RUN} of Grocery")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    every = 8 if options.quick else options.every
    # Runs of photos, since those of one thing from almost one place follow one another.
    rows = enumerate(path for path, _ in grocery("test"))
    photos = [path for number, path in rows if number // _RUN % every == 0]
    photos += sorted(path for path in (DATA / "scenes").rglob("*") if path.suffix == ".jpg")
    with (
        TemporaryDirectory() as temporary,
        Gallery(Path(temporary) / "gallery", regions="none", model=options.model) as gallery,
        gallery._outcomes() as outcomes,
    ):
        gallery.add(*photos)
        catalog, verifier = gallery._catalog, gallery._models.verifier()
        assert verifier is not None
        originals = Originals(catalog, Disk(catalog), Limits())
        small = Thumbnails(catalog, Limits())
        comparing = Counting(
            catalog,
            gallery._store(),
            verifier.calibration,
            Level.OBJECT,  # all neighbours: more pairs than copies are looked for among
            quiet,
            small,
            originals,
            outcomes,  # so that `duplicates` below compares nothing again
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        comparing.find()
        seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        files = {i: found[0][1] for i, found in catalog.files_of(catalog.content_ids()).items()}
        pairs = sorted(
            (files[a], files[b])
            for a, tied in comparing.ties.items()
            for b, evidence in tied.items()
            if a < b and evidence.verdict is Verdict.COPY
        )
        spare = [
            str(path)
            for group in gallery.duplicates("copy")
            for image in group.images
            for path in image.spare
        ]
    print_table("Called copies", ["", ""], [(a.name, b.name) for a, b in pairs])
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        for number, pair in enumerate(pairs):
            side_by_side(pair, options.keep / f"{number:03d}.png")
    figures = {
        "images": len(files),
        "every": every,
        "verified_pairs": comparing.compared,
        "compared_in_colour": getattr(comparing, "in_colour", 0),
        "copies": [[str(path.name) for path in pair] for pair in pairs],
        "spare": spare,
        "cpu_seconds": seconds,
    }
    print(figures)
    if options.model == DEFAULT_MODEL:
        write_results("copies_real", figures, quick=options.quick)


if __name__ == "__main__":
    main()
