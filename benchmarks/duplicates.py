"""Measure the precision and recall of `glocal duplicates` among thousands of photos.

    python benchmarks/duplicates.py [--images FOLDER...] [--work DIR] [--imagededup]

The originals are Grocery's test photos (one of each class), the scenes of ``../shared/data`` and,
with ``--images``, wallpapers (see `verification_sets`) that the calibration was not fitted on. Six
or seven copies of each are made by `demo_reshoot` and `copy_edits` and put among Grocery's test
photos and the scenes. Two files of one group count as a pair; a pair is right when both derive from
one original. Grocery has photos of one crate taken a moment apart, and nobody can say whether these
are copies. Wrong pairs of two photos of one class are therefore counted separately: "precision"
leaves them out and "precision_strict" includes them. ``--imagededup`` runs that package on the same
images, if it is installed.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from copy_edits import EDITS, TURNED
from glocal.cli import demo_reshoot
from glocal.gallery import Gallery
from measure import arguments, print_table, write_results
from verification_sets import DATA, grocery, small, wallpapers

COPIES = 6
LONGEST = 1024
_ENDINGS = {b"\xff\xd8": ".jpg", b"GI": ".gif", b"\x89P": ".png", b"RI": ".webp"}
Pair = frozenset[Path]


@dataclass(frozen=True)
class Made:
    """A copy, the image it was made of, and how."""

    path: Path
    original: Path
    change: str


def originals(walls: Sequence[Path]) -> list[Path]:
    by_class: dict[str, list[Path]] = {}
    for path, label in grocery("test"):
        by_class.setdefault(label, []).append(path)
    with (DATA / "scenes" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["instance"] != "distractor"]
    by_scene: dict[str, list[Path]] = {}
    for row in rows:
        by_scene.setdefault(row["instance"], []).append(DATA / "scenes" / row["path"])
    groups = [*by_class.values(), *by_scene.values()]
    return [group[len(group) // 3] for group in groups] + list(walls)


def make_copies(images: Sequence[Path], folder: Path) -> list[Made]:
    """Six of all changes for each image, by turns, and a collage for every fourth."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    changes = list((demo_reshoot.CHANGES | EDITS | TURNED).items())
    # Each collage has three photos of its own: two that share one would be partial copies.
    others = iter(grocery("train")[::7])

    def collage(image: Any, random: np.random.Generator) -> bytes:
        chosen = [small(path, 400) for path, _ in itertools.islice(others, 3)]
        return demo_reshoot.collage(image, chosen, random)

    made = []
    for number, path in enumerate(images):
        image = small(path, LONGEST)
        picks = [changes[(7 * number + 4 * i) % len(changes)] for i in range(COPIES)]
        if number % 4 == 0:
            picks.append(("collage", collage))
        for name, change in picks:
            content = change(image, rng)
            target = folder / f"{number:03d} {name}{_ENDINGS[content[:2]]}"
            target.write_bytes(content)
            made.append(Made(target, path, name))
    return made


def evaluate(found: Iterable[Pair], made: Sequence[Made]) -> dict[str, Any]:
    """Precision of all pairs found; recall of original and copy, as a whole and by change."""
    family = {copy.path: copy.original for copy in made}
    family |= {copy.original: copy.original for copy in made}
    pairs = set(found)
    wrong: dict[str, list[list[str]]] = {"same crate": [], "same scene": [], "unrelated": []}
    for pair in pairs:
        first, second = sorted(pair)
        shows = family.get(first, first), family.get(second, second)
        if shows[0] == shows[1]:
            continue
        kind = "unrelated"
        if shows[0].parent == shows[1].parent:
            kind = "same crate" if DATA / "grocery" in shows[0].parents else "same scene"
        wrong[kind].append([str(first), str(second)])
    errors = sum(map(len, wrong.values()))
    aside = len(pairs) - len(wrong["same crate"])
    shown = {copy.change: [0, 0] for copy in made}
    for copy in made:
        shown[copy.change][0] += frozenset((copy.path, copy.original)) in pairs
        shown[copy.change][1] += 1
    upright = [shown[change] for change in shown if change not in TURNED]
    return {
        "precision": 1 - (errors - len(wrong["same crate"])) / max(aside, 1),
        "precision_strict": 1 - errors / max(len(pairs), 1),
        "recall": sum(hit for hit, _ in upright) / max(sum(count for _, count in upright), 1),
        "recall_with_turned": sum(hit for hit, _ in shown.values()) / len(made),
        "pairs": len(pairs),
        "wrong_pairs": {kind: len(found) for kind, found in wrong.items()},
        "by_change": {change: hit / count for change, (hit, count) in sorted(shown.items())},
        "wrong": {kind: sorted(found) for kind, found in wrong.items()},
    }


def glocal_pairs(gallery_folder: Path, sources: Sequence[Path]) -> set[Pair]:
    with Gallery(gallery_folder) as gallery:
        gallery.add(*map(str, sources))
        groups = gallery.duplicates("copy")
    return {
        frozenset(pair)
        for group in groups
        for pair in itertools.combinations(
            [path for image in group.images for path in image.paths], 2
        )
    }


def imagededup_pairs(files: Sequence[Path], folder: Path) -> dict[str, set[Pair]]:
    """The pairs of its two main methods, with their own thresholds; links stand for the files."""
    from imagededup.methods import CNN, PHash

    folder.mkdir(parents=True, exist_ok=True)
    names = {f"{number:05d}{path.suffix.lower()}": path for number, path in enumerate(files)}
    for name, path in names.items():
        if not (folder / name).exists():
            (folder / name).symlink_to(path)
    methods: dict[str, Callable[[], Any]] = {"PHash": PHash, "CNN": CNN}
    found = {}
    for title, method in methods.items():
        answer = method().find_duplicates(image_dir=str(folder))
        found[f"imagededup {title}"] = {
            frozenset((names[name], names[other]))
            for name, others in answer.items()
            for other in others
        }
    return found


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="wallpapers")
    parser.add_argument("--work", type=Path, help="keep images, gallery and errors there")
    parser.add_argument("--imagededup", action="store_true", help="compare with that package")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        walls = wallpapers(options.images)[1::2]
        images = originals(walls)[:: 8 if options.quick else 1]
        made = make_copies(images, work / "copies")
        walls = [path for path in walls if path in images]
        around = [] if options.quick else [DATA / "grocery" / "dataset" / "test", DATA / "scenes"]
        sources = [work / "copies", *around, *(images if options.quick else walls)]
        pairs = {"glocal": glocal_pairs(work / "gallery", sources)}
        if options.imagededup:
            files = {path for copy in made for path in (copy.path, copy.original)}
            for folder in around:
                files.update(path for path in folder.rglob("*") if path.suffix.lower() == ".jpg")
            pairs |= imagededup_pairs(sorted(files), work / "links")
    figures = {name: evaluate(found, made) for name, found in pairs.items()}
    (work / "wrong.json" if options.work else Path("/dev/null")).write_text(
        json.dumps({name: figure.pop("wrong") for name, figure in figures.items()}, indent=1)
    )
    columns = ("precision", "precision_strict", "recall", "recall_with_turned")
    rows = [
        (name, *(figure[column] for column in columns), *figure["wrong_pairs"].values())
        for name, figure in figures.items()
    ]
    kinds = (f"wrong: {kind}" for kind in figures["glocal"]["wrong_pairs"])
    print_table("Copies among photos", ["", *columns, *kinds], rows)
    print_table("Recall by change", ["", "glocal"], list(figures["glocal"]["by_change"].items()))
    write_results("duplicates", figures, quick=options.quick)


if __name__ == "__main__":
    main()
