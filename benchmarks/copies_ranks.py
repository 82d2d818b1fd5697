"""How far down an image's neighbours are its copies? This is what `candidates.FIRST` rests on.

    python benchmarks/copies_ranks.py --work DIR [--quick]

Each of 25 kinds of edits (`graded_edits`), mild, middling and strong, is made of Grocery's training
photos, five of each photo, among 3,232 photos (`duplicates_speed`). Of those that are called
copies of their original where the two are compared, it is counted how many are among the first so
many neighbours of their original, or their original among theirs: one of both is enough to be
compared.
DIR keeps the galleries.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import numpy as np

from copies_edited import PER_ORIGINAL, make
from duplicates_speed import chosen
from glocal.gallery import Gallery
from glocal.gallery.comparing import Comparing
from glocal.gallery.duplicates import Level
from glocal.gallery.originals import Originals
from glocal.gallery.progress import quiet
from glocal.gallery.same_files import Disk
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits
from glocal.ranking.evidence import Verdict
from measure import arguments, print_table, write_results
from verification_sets import grocery

COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)


def copies(folder: Path, times: int) -> dict[Path, Path]:
    """Edited copies of training photos, each with its original."""
    photos = [path for path, _ in grocery("train")]
    count = 75 * times // PER_ORIGINAL
    made = make(folder, photos[3 :: len(photos) // count][:count], times, seed=2027)
    return {path: original for path, (original, _, _) in made.items()}


def vectors(gallery: Gallery) -> dict[UUID, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Of all images of a gallery."""
    ids = sorted(gallery._catalog.content_ids())
    pages = [ids[start : start + 500] for start in range(0, len(ids), 500)]
    return {i: vector for page in pages for i, vector in gallery._store().vectors(page).items()}


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the galleries")
    options = parser.parse_args()
    times, around = (1, 200) if options.quick else (6, 3232)
    made = copies(options.work / f"edits {times}", times)
    with (
        Gallery(options.work / f"edited {times}", regions="none") as gallery,
        Gallery(options.work / f"around {around}") as others,
    ):
        gallery.add(*made, *set(made.values()))
        others.add(*chosen(around))
        catalog, verifier = gallery._catalog, gallery._models.verifier()
        assert verifier is not None
        mine = vectors(gallery)
        everything = vectors(others) | mine
        table = np.stack(list(everything.values())).astype(np.float32)
        files = catalog.files_of(mine)
        ids = {path: i for i, found in files.items() for _, path in found}
        comparing = Comparing(
            catalog,
            gallery._store(),
            verifier.calibration,
            Level.COPY,
            quiet,
            Thumbnails(catalog, Limits()),
            Originals(catalog, Disk(catalog), Limits()),
        )
        ranks, scores = [], []
        for copy, original in made.items():
            if copy not in ids:  # the very bytes of another file
                continue
            one, other = ids[copy], ids[original]
            evidence = comparing.pair(one, other).evidence
            if evidence is None or evidence.verdict is not Verdict.COPY:
                continue
            score = float(mine[one] @ mine[other])
            nearer = [int((table @ mine[i] > score + 1e-6).sum()) - 1 for i in (one, other)]
            ranks.append(min(nearer))
            scores.append(score)
    within = {str(count): int(np.sum(np.array(ranks) < count)) for count in COUNTS}
    print_table(
        f"Of {len(ranks)} copies ({len(made)} edits), those among the first neighbours",
        list(within),
        [list(within.values())],
    )
    figures = {
        "edits": len(made),
        "copies": len(ranks),
        "around": around,
        "within": within,
        "scores_below_0.4": int(np.sum(np.array(scores) < 0.4)),
    }
    print(figures)
    write_results("copies_ranks", figures, quick=options.quick)


if __name__ == "__main__":
    main()
