"""How many edited copies `glocal duplicates` finds among photos, by kind of edit and strength.

    python benchmarks/copies_edited.py [--quick] [--model NAME-OR-FILE]

Each of 25 kinds of edits (`graded_edits`) is made in three strengths, of one photo each time, by
turns, of Grocery's test photos, which had no say in the settings; all other test photos lie
around them. A copy is found where it and its original are tied as copies. A pair of files of two
different photos that are tied as copies is wrong; a spare file is wrong where it is an original, or
where what stays is not of its family.
"""

from __future__ import annotations

import itertools
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Gallery
from graded_edits import EDITS
from measure import arguments, print_table, write_results
from verification_sets import grocery

ENDINGS = {b"\xff\xd8": ".jpg", b"GI": ".gif", b"\x89P": ".png", b"RI": ".webp"}
PER_ORIGINAL = 5


def make(
    folder: Path, originals: list[Path], times: int, seed: int = 11
) -> dict[Path, tuple[Path, str, int]]:
    """Copies: for each its original, its kind and its strength."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    kinds = [(kind, strength) for _ in range(times) for strength in range(3) for kind in EDITS]
    made = {}
    for number, (kind, strength) in enumerate(kinds):
        original = originals[number // PER_ORIGINAL]
        with Image.open(original) as opened:
            data = EDITS[kind](opened.convert("RGB"), strength, rng)
        path = folder / f"{number:04d} {kind} {strength}{ENDINGS[data[:2]]}"
        path.write_bytes(data)
        made[path] = original, kind, strength
    return made


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    times = 1 if options.quick else 4
    photos = [path for path, _ in grocery("test")]
    count = -(-75 * times // PER_ORIGINAL)
    originals = photos[:: len(photos) // count][:count]
    around = photos[1 :: 8 if options.quick else 1]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = make(folder / "copies", originals, times)
        with Gallery(folder / "gallery", regions="none", model=options.model) as gallery:
            gallery.add(folder / "copies", *originals, *(set(around) - set(originals)))
            images = gallery.info().images
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            groups = gallery.duplicates("copy")
            seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    family = {path: original for path, (original, _, _) in made.items()}
    together, wrong, spares, wrong_spares = set(), [], 0, []
    for group in groups:
        files = [path for image in group.images for path in image.paths]
        for pair in itertools.combinations(files, 2):
            if family.get(pair[0], pair[0]) == family.get(pair[1], pair[1]):
                together.add(frozenset(pair))
            else:
                wrong.append([str(path) for path in pair])
        kept = family.get(group.kept, group.kept)
        for image in group.images:
            spares += len(image.spare)
            wrong_spares += [
                str(path)
                for path in image.spare
                if family.get(path, path) != kept or path not in family
            ]
    found: dict[str, list[list[int]]] = {kind: [[0, 0] for _ in range(3)] for kind in EDITS}
    for path, (original, kind, strength) in made.items():
        found[kind][strength][0] += frozenset((path, original)) in together
        found[kind][strength][1] += 1
    hits = sum(cell[0] for row in found.values() for cell in row)
    figures: dict[str, Any] = {
        "images": images,
        "recall": hits / len(made),
        "precision": len(together) / max(len(together) + len(wrong), 1),
        "wrong_pairs": wrong,
        "spare": spares,
        "wrong_spare": wrong_spares,
        "cpu_seconds": seconds,
        "by_kind": {kind: [cell[0] / cell[1] for cell in row] for kind, row in found.items()},
    }
    print_table(
        "Recall by kind and strength",
        ["", "weak", "middle", "strong"],
        [(kind, *row) for kind, row in figures["by_kind"].items()],
    )
    print({name: value for name, value in figures.items() if name != "by_kind"})
    if options.model == DEFAULT_MODEL:
        write_results("copies_edited", figures, quick=options.quick)


if __name__ == "__main__":
    main()
