"""The sets on which geometric verification is tuned, calibrated and evaluated.

Besides the Grocery Store dataset and the scenes in ``../shared/data`` they use two kinds of
folders:

* wallpapers: any folders of large images. The figures in docs/decisions.md use Debian 12's
  ukui-wallpapers, lomiri-wallpapers, lomiri-wallpapers-16.04, lomiri-wallpapers-20.04,
  mate-backgrounds, gnome-backgrounds and plasma-workspace-wallpapers, each unpacked with ``apt-get
  download NAME && dpkg -x NAME*.deb FOLDER``;
* views: folders of photos, each of one thing. The figures use the photos in the repositories
  alicevision/dataset_buddha, alicevision/dataset_monstree and openMVG/ImageDataset_SceauxCastle;
  the walk along a street is mapillary/OpenSfM's data/lund.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.cli import demo_reshoot
from glocal.images import load
from glocal.images.perspective import homography

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
Source = Path | bytes
_KINDS = {".jpg", ".jpeg", ".png", ".webp"}


COURT = frozenset({"castle_ettlingen", "entry_ettlingen", "fountain_ettlingen"})
"""Labels of the scenes that show one castle's court."""


@dataclass(frozen=True)
class LabelledSet:
    """Queries among a gallery; all are numbers of a `Images`.

    ``junk`` holds, for each query, images of which nobody can say whether they are right: other
    photos of the crate that a copy was made of. They are left out of that query's ranking.
    """

    name: str
    queries: list[int]
    gallery: list[int]
    truth: list[set[int]]
    junk: list[set[int]]


@dataclass
class Images:
    """Every image once, by number."""

    sources: list[Source] = field(default_factory=list)
    _numbers: dict[Source, int] = field(default_factory=dict)

    def add(self, source: Source) -> int:
        if source not in self._numbers:
            self._numbers[source] = len(self.sources)
            self.sources.append(source)
        return self._numbers[source]

    def add_all(self, sources: Iterable[Source]) -> list[int]:
        return [self.add(source) for source in sources]


def grocery(split: str) -> list[tuple[Path, str]]:
    folder = DATA / "grocery" / "dataset"
    lines = (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines if line.strip()]
    return [(folder / row[0], row[1].strip()) for row in rows]


def small(path: Path, side: int) -> Image.Image:
    image = Image.fromarray(load(path, min_side=side).array)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return image


def _theme(path: Path) -> str:
    """What a wallpaper shares with its variants: by day and by night, tall and wide."""
    if "contents" in path.parts:
        return str(path).split("/contents/", maxsplit=1)[0]
    return str(path.with_name(re.split(r"[-_ 0-9]", path.stem)[0] or path.stem))


def wallpapers(folders: Sequence[Path]) -> list[Path]:
    """Large images with something on them, one of each theme.

    Raises:
        SystemExit: a folder has none; links to folders are not followed.
    """
    kept: list[Path] = []
    themes: set[str] = set()
    known: list[NDArray[np.float32]] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in _KINDS or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size < 40_000 or "screenshot" in path.name:
                continue
            if _theme(path) in themes:
                continue
            tiny = np.asarray(small(path, 200).resize((12, 12), Image.Resampling.BOX), np.float32)
            tiny = tiny.ravel() - tiny.mean()
            length = float(np.linalg.norm(tiny))
            if length < 150 or any(float(tiny @ other) > 0.95 * length for other in known):
                continue
            known.append(tiny / length)
            themes.add(_theme(path))
            kept.append(path)
        if not any(path.is_relative_to(folder) for path in kept):
            raise SystemExit(f"{folder} has no wallpaper; name the folder of an unpacked package")
    return kept


def copies(images: Images, walls: Sequence[Path], half: int) -> LabelledSet:
    """Re-shot copies of photos and wallpapers; the halves share no original."""
    train = grocery("train")
    labels = dict(train)
    originals = [path for path, _ in train[::11][half::2][::2]] + list(walls[half::2])
    others = [small(path, 400) for path, _ in train[5:400:40]]
    changes: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
        **demo_reshoot.CHANGES,
        "collage": lambda image, rng: demo_reshoot.collage(
            image, [others[i] for i in rng.permutation(len(others))[:3]], rng
        ),
    }
    rng = np.random.default_rng(half)
    made = LabelledSet(f"copies {half}", [], [], [], [])
    made.gallery.extend(images.add_all([*labels, *walls]))
    for number, path in enumerate(originals):
        for change in (
            list(changes.values())[number % 7 :: 4]
            if path in walls
            else [list(changes.values())[number % 7]]
        ):
            copy = change(small(path, 1024), rng)
            same = [p for p, label in labels.items() if label == labels.get(path) and p != path]
            made.queries.append(images.add(copy))
            made.truth.append({images.add(path)})
            made.junk.append(set(images.add_all(same)))
    return made


def objects(images: Images, walls: Sequence[Path], half: int) -> LabelledSet:
    """Images of flat things that stand, small and a little askew, in large images."""
    train = grocery("train")
    labels = dict(train)
    mine, scenes = list(walls[half::2]), list(walls[1 - half :: 2])
    things = mine[::2] + [path for path, _ in train[::11][half::6]]
    rng = np.random.default_rng(10 + half)
    made = LabelledSet(f"small objects {half}", [], [], [], [])
    made.gallery.extend(images.add_all(labels))
    for number, path in enumerate(things):
        thing, scene = small(path, 512), small(scenes[number % len(scenes)], 1600)
        scene = _stood_in(thing, scene, (0.04, 0.07, 0.12)[number % 3], rng)
        found = images.add(_jpeg(scene, 90))
        width, height = thing.size
        box = (int(0.05 * width), int(0.05 * height), int(0.93 * width), int(0.95 * height))
        same = [p for p, label in labels.items() if label == labels.get(path)]
        made.queries.append(images.add(_jpeg(thing.crop(box), 80)))
        made.gallery.append(found)
        made.truth.append({found})
        made.junk.append(set(images.add_all(same)))
    return made


def products(images: Images, split: str, every: int) -> LabelledSet:
    """Cartons held in a hand before shop shelves: the same product on other photos."""
    listing = json.loads((DATA / "grocery" / "packages_sku.json").read_text(encoding="utf-8"))
    by_sku: dict[str, set[int]] = {}
    for row in listing["photos"]:
        if row["split"] == split:
            number = images.add(DATA / "grocery" / "dataset" / row["path"])
            by_sku.setdefault(row["sku"], set()).add(number)
    pairs = sorted((n, sku) for sku, numbers in by_sku.items() for n in numbers)[::every]
    gallery = images.add_all(path for path, _ in grocery(split))
    truth = [by_sku[sku] - {number} for number, sku in pairs]
    return LabelledSet(
        f"products {split}", [n for n, _ in pairs], gallery, truth, [set() for _ in pairs]
    )


def views(images: Images, folders: Sequence[Path]) -> LabelledSet:
    """Real photos of one thing each from many sides, among groceries."""
    groups = [
        images.add_all(p for p in sorted(f.iterdir()) if p.suffix.lower() in _KINDS)
        for f in folders
    ]
    for folder, group in zip(folders, groups, strict=True):
        if len(group) < 2:
            raise SystemExit(
                f"{folder} has {len(group)} photos; name a folder of one thing's photos"
            )
    queries = [number for group in groups for number in group]
    gallery = images.add_all(path for path, _ in grocery("train")) + queries
    truth = [set(group) - {number} for group in groups for number in group]
    return LabelledSet("views", queries, gallery, truth, [set() for _ in queries])


def street(images: Images, folder: Path) -> LabelledSet:
    """A walk along a street: right are only the frames just before and just after."""
    walk = images.add_all(p for p in sorted(folder.iterdir()) if p.suffix.lower() in _KINDS)
    gallery = images.add_all(path for path, _ in grocery("train")) + walk
    steps = range(len(walk))
    near = [{walk[j] for j in steps if abs(i - j) == 1} for i in steps]
    return LabelledSet("street", walk, gallery, near, [set() for _ in steps])


def scenes(images: Images, *, court: bool = False) -> LabelledSet:
    """The scenes among Grocery's test photos.

    Three of their labels (`COURT`) are views of one castle's court, and many photos of one show
    what another is named after. With ``court`` they are not held against one another: of a query
    with one of these labels the images of the other two are neither right nor wrong.
    """
    with (DATA / "scenes" / "labels.csv").open(encoding="utf-8") as file:
        rows = [(row["path"], row["instance"]) for row in csv.DictReader(file)]
    numbers = images.add_all(DATA / "scenes" / path for path, _ in rows)
    labels = dict(zip(numbers, (label for _, label in rows), strict=True))
    queries = [number for number in numbers if labels[number] != "distractor"]
    truth = [{n for n in numbers if labels[n] == labels[query]} - {query} for query in queries]
    in_court = {n for n in numbers if labels[n] in COURT} if court else set()
    junk = [
        in_court - found if query in in_court else set()
        for query, found in zip(queries, truth, strict=True)
    ]
    gallery = images.add_all(path for path, _ in grocery("test")) + numbers
    return LabelledSet("scenes, one court" if court else "scenes", queries, gallery, truth, junk)


def _stood_in(
    thing: Image.Image, scene: Image.Image, share: float, rng: np.random.Generator
) -> Image.Image:
    size = np.sqrt(share * scene.width * scene.height / (thing.width * thing.height))
    size = min(size, 0.98 * scene.width / thing.width, 0.98 * scene.height / thing.height)
    width, height = max(8, int(thing.width * size)), max(8, int(thing.height * size))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    askew = np.abs(corners - rng.uniform(0, 0.08, (4, 2))) * (width, height)
    back = homography(askew, corners * (width, height))
    stood = thing.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    stood = stood.transform(
        (width, height), Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC
    )
    scene = scene.copy()
    left = int(rng.integers(0, scene.width - width + 1))
    top = int(rng.integers(0, scene.height - height + 1))
    scene.paste(stood, (left, top), stood.getchannel("A"))
    return scene


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
