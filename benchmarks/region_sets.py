"""Sets on which region vectors are tuned and evaluated: small things, crops, pieces, places.

There are two splits that share no image: settings are chosen on ``settings`` and reported on
``kept``. Each has one gallery, and every query is ranked against all of it. Besides the Grocery
Store dataset and the scenes in ``../shared/data`` (scenes in ``kept`` only) they use two folders:

* ``--images``: unpacked Debian packages, one folder each: the wallpapers that `verification_sets`
  names, gcompris-qt-data, wesnoth-1.16-httt and wesnoth-1.16-utbs. The model was not trained on
  those of ``kept``: mate-backgrounds, gnome-backgrounds, lomiri-wallpapers-16.04 and
  wesnoth-1.16-utbs;
* ``--views``: folders of photos of one thing each, and one named ``street``; see
  `verification_sets`. They are the places of ``settings``.

Nothing to run by itself.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glocal.images import load
from verification_sets import _KINDS, COURT, DATA, Images, Source, _stood_in, grocery, small
from verification_sets import wallpapers as one_of_each_theme

Split = Literal["settings", "kept"]
SHARES = ((0.10, 0.20), (0.20, 0.30), (0.30, 0.40))
"""Side of a pasted thing relative to the image's: the root of the share of its area."""

_PACKAGES: dict[Split, tuple[str, ...]] = {
    "settings": ("plasma-workspace-wallpapers", "ukui-wallpapers", "lomiri-wallpapers-20.04"),
    "kept": ("mate-backgrounds", "gnome-backgrounds", "lomiri-wallpapers-16.04"),
}
_CAMPAIGNS: dict[Split, str] = {"settings": "wesnoth-1.16-httt", "kept": "wesnoth-1.16-utbs"}
_PACKED = ("explore_monuments", "explore_world_animals", "explore_world_music")
_SCREENS = "screens of long pages"
_WORDS = (  # noqa: SIM905 - easier to read than forty strings
    "water light music morning garden window market train letter colour number yellow evening "
    "mountain river paper coffee bridge station summer winter open close write answer question "
    "photo travel city road house people children language history report weather sport science"
).split()


@dataclass
class Queries:
    """Queries of one kind; all numbers are those of the split's images.

    Attributes:
        name: what the set is called.
        queries: numbers of the query images.
        truth: for each query, the gallery's images that are right.
        junk: for each query, images of which nobody can say whether they are right.
    """

    name: str
    queries: list[int] = field(default_factory=list)
    truth: list[set[int]] = field(default_factory=list)
    junk: list[set[int]] = field(default_factory=list)

    def add(self, query: int, truth: set[int], junk: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.queries.append(query)
        self.truth.append(set(truth) - {query})
        self.junk.append(set(junk) - set(truth) | {query})


@dataclass
class Sets:
    """One split: its images, the numbers of its gallery and its sets of queries."""

    images: Images
    gallery: list[int]
    sets: list[Queries]


def build(split: Split, packages: Path, views: Path, *, every: int = 1) -> Sets:
    """Make a split; the same images at every call.

    Args:
        split: which.
        packages: folder with an unpacked Debian package in each folder.
        views: folder with a folder for each thing.
        every: take every so manyth of the things, photos and pages, for a quick look.
    """
    maker = _Maker(split, packages, views, every)
    maker.products()
    maker.places()
    maker.small_things()
    maker.crops()
    maker.pieces()
    gallery = list(dict.fromkeys(maker.gallery))
    made = Sets(maker.images, gallery, [one for one in maker.sets if one.queries])
    _mark_pages(made)
    return made


def _mark_pages(made: Sets) -> None:
    """Long pages hold photos and things, so they are neither right nor wrong for other queries."""
    (screens,) = [one for one in made.sets if one.name == _SCREENS]
    pages = set().union(*screens.truth)
    for one in made.sets:
        if one is not screens:
            one.junk = [junk | pages for junk in one.junk]


class _Maker:
    def __init__(self, split: Split, packages: Path, views: Path, every: int) -> None:
        self.split, self.packages, self.views, self.every = split, packages, views, every
        self.half = 0 if split == "settings" else 1
        self.rng = np.random.default_rng([7, self.half])
        self.images, self.sets = Images(), list[Queries]()
        self.gallery: list[int] = []
        self.shop = grocery("train" if split == "settings" else "test")
        photos = one_of_each_theme([packages / name for name in _PACKAGES[split]])
        photos = [path for path in photos if "symbolic" not in path.name]
        paintings = _files(packages / _CAMPAIGNS[split], 60_000)
        self.photos: list[Source] = list(photos[1::2])
        self.things: list[Source] = [*photos[::2], *[p for p in paintings if _distinct(p)]]
        if split == "settings":
            packed = [data for name in _PACKED for data in _packed(packages, name)]
            self.photos += packed[::2]
            self.things += packed[1::2]
            self.things = self.things[::2]
        icons = DATA / "grocery" / "dataset" / "iconic-images-and-descriptions"
        self.things += sorted(icons.rglob("*_Iconic.jpg"))[self.half :: 2]
        self.photos, self.things = self.photos[::every], self.things[::every]

    def _set(self, name: str) -> Queries:
        made = Queries(name)
        self.sets.append(made)
        return made

    def _in_gallery(self, source: Source) -> int:
        number = self.images.add(source)
        self.gallery.append(number)
        return number

    def products(self) -> None:
        """Cartons on shop photos: by their product image, and by another photo."""
        folder = DATA / "grocery" / "dataset"
        listing = json.loads((DATA / "grocery" / "packages_sku.json").read_text(encoding="utf-8"))
        wanted = "train" if self.split == "settings" else "test"
        rows = [row for row in listing["photos"] if row["split"] == wanted]
        by_sku: dict[str, list[int]] = {}
        for row in sorted(rows, key=lambda row: row["path"])[:: 3 * self.every]:
            number = self._in_gallery(folder / row["path"])
            by_sku.setdefault(row["sku"], []).append(number)
        self.by_sku = {sku: set(numbers) for sku, numbers in by_sku.items()}
        images = self._set("product image")
        for sku, path in sorted(listing["iconic"].items()):
            if sku in self.by_sku:
                images.add(self.images.add(folder / path), self.by_sku[sku])
        cartons = self._set("carton")
        for numbers in self.by_sku.values():
            for number in sorted(numbers)[::3]:
                if len(numbers) > 1:
                    cartons.add(number, self.by_sku[sku_of(self.by_sku, number)])
        known = {folder / row["path"] for row in rows}
        for path, _ in [row for row in self.shop if row[0] not in known][:: 11 * self.every]:
            self._in_gallery(path)

    def places(self) -> None:
        """Photos of one place, and details of them, against the others."""
        groups: dict[str, list[int]] = {}
        junk: dict[str, set[int]] = {}
        if self.split == "kept":
            with (DATA / "scenes" / "labels.csv").open(encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    number = self._in_gallery(DATA / "scenes" / row["path"])
                    groups.setdefault(row["instance"], []).append(number)
            court = {n for name in COURT for n in groups.get(name, [])}
            junk = dict.fromkeys(COURT, court)
            groups.pop("distractor", None)
        else:
            for folder in sorted(self.views.iterdir()):
                groups[folder.name] = [self._in_gallery(path) for path in _files(folder, 0)]
        whole, details = self._set("places"), self._set("details of places")
        for name, numbers in groups.items():
            for turn, number in enumerate(numbers):
                right = set(numbers)
                if name == "street":  # a walk: only the frames just before and after
                    right = {n for n in numbers if abs(numbers.index(n) - turn) == 1}
                if not right - {number}:
                    continue
                unsure = junk.get(name, set()) | (set(numbers) if name == "street" else set())
                whole.add(number, right, unsure)
                if turn % 2 == 0 and name != "street":
                    source = self.images.sources[number]
                    detail = self.images.add(self._cut(source, self.rng.uniform(0.1, 0.25)))
                    details.add(detail, right - {number}, {number} | unsure)

    def small_things(self) -> None:
        """Things pasted into photos; the thing by itself is the query."""
        others = [row for row in self.shop if "Packages" not in str(row[0])]
        hosts: list[Source] = [path for path, _ in others[5::37]]
        same = self._photos_by_folder()
        for turn, (least, most) in enumerate(SHARES):
            made = self._set(f"small, {100 * least:.0f}-{100 * most:.0f} % of the side")
            for number, source in enumerate(self.things):
                thing = _opened(source, 640)
                place = hosts[(number * len(SHARES) + turn) % len(hosts)]
                host = _opened(place, 1024).resize((1152, 864), Image.Resampling.BICUBIC)
                share = self.rng.uniform(least, most) ** 2
                pasted = _jpeg(_stood_in(thing, host, share, self.rng), 88)
                found = self._in_gallery(pasted)
                width, height = thing.size
                box = (int(0.05 * width), int(0.05 * height), int(0.93 * width), int(0.95 * height))
                cut = thing.crop(box)
                named = source.parent.name if isinstance(source, Path) else ""
                made.add(self.images.add(_jpeg(cut, 75)), {found}, same.get(named, set()))
                self._mark_unsure(source, found)
        # The same thing at another size is neither right nor wrong.
        small_sets = self.sets[-len(SHARES) :]
        for number in range(len(self.things)):
            all_of_it = {found for made in small_sets for found in made.truth[number]}
            for made in small_sets:
                made.junk[number] |= all_of_it - made.truth[number]

    def crops(self) -> None:
        """Crops of photos against the photos, and photos against crops of them."""
        shop = self.shop[3 :: 61 * self.every]
        same = self._photos_by_folder()
        originals = [*self.photos, *[path for path, _ in shop]]
        halves, thirds = self._set("crop to a half"), self._set("crop to a third")
        backwards = self._set("whole photo of a crop")
        for turn, source in enumerate(originals):
            junk = same.get(source.parent.name, set()) if isinstance(source, Path) else set()
            if turn % 3 == 2:
                found = self._in_gallery(self._cut(source, 0.4))
                backwards.add(self.images.add(source), {found}, junk)
                continue
            found = self._in_gallery(source)
            halves.add(self.images.add(self._cut(source, 0.5)), {found}, junk)
            thirds.add(self.images.add(self._cut(source, 0.3)), {found}, junk)

    def pieces(self) -> None:
        """Screens out of long screenshots, and upright photos out of panoramas."""
        screens, panoramas = self._set(_SCREENS), self._set("pieces of panoramas")
        pictures = [_opened(source, 640) for source in [*self.photos, *self.things]]
        for number in range(0, 24, self.every):
            page = _page(pictures, number, self.rng)
            found = self._in_gallery(_jpeg(page, 85))
            for _ in range(2):
                top = int(self.rng.integers(0, page.height - 1920))
                piece = page.crop((0, top, 1080, top + 1920)).resize((720, 1280))
                screens.add(self.images.add(_jpeg(piece, 80)), {found})
        for source in self.things[::2]:
            photo = _opened(source, 1600)
            height = round(photo.width / self.rng.uniform(2.6, 3.6))
            top = (photo.height - height) // 2
            band = photo.crop((0, top, photo.width, top + height))
            found = self._in_gallery(_jpeg(band, 88))
            width = round(0.85 * height)
            left = int(self.rng.integers(0, band.width - width))
            piece = band.crop((left, 0, left + width, round(0.95 * height)))
            same = {
                n for made in self.sets if "small" in made.name for n in _with(made, source, self)
            }
            panoramas.add(self.images.add(_jpeg(_light(piece, self.rng), 75)), {found}, same)
            for made in self.sets:
                if "small" in made.name:
                    made.junk[self.things.index(source)].add(found)

    def _photos_by_folder(self) -> dict[str, set[int]]:
        """The gallery's files by the name of their folder: Grocery has one for each product."""
        same: dict[str, set[int]] = {}
        for number in self.gallery:
            source = self.images.sources[number]
            if isinstance(source, Path):
                same.setdefault(source.parent.name, set()).add(number)
        return same

    def _mark_unsure(self, source: Source, pasted: int) -> None:
        """A pasted product image is neither right nor wrong for that product image."""
        (images,) = [made for made in self.sets if made.name == "product image"]
        for query, junk in zip(images.queries, images.junk, strict=True):
            if self.images.sources[query] == source:
                junk.add(pasted)

    def _cut(self, source: Source, area: float) -> bytes:
        """A crop with this share of the area, somewhat brighter or darker."""
        photo = _opened(source, 1024)
        lean = np.exp(self.rng.uniform(-0.2, 0.2))
        width = min(round(photo.width * np.sqrt(area) * lean), photo.width)
        height = min(round(photo.height * np.sqrt(area) / lean), photo.height)
        left = int(self.rng.integers(0, photo.width - width + 1))
        top = int(self.rng.integers(0, photo.height - height + 1))
        return _jpeg(_light(photo.crop((left, top, left + width, top + height)), self.rng), 78)


def sku_of(by_sku: dict[str, set[int]], number: int) -> str:
    """The product that this photo shows."""
    return next(sku for sku, numbers in by_sku.items() if number in numbers)


def _with(made: Queries, source: Source, maker: _Maker) -> set[int]:
    return made.truth[maker.things.index(source)]


def _files(folder: Path, least: int) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _KINDS and path.is_file() and path.stat().st_size > least
    ]


def _distinct(path: Path) -> bool:
    """Whether a campaign's image is one of its own: no second mood, no map in another language."""
    moods = (
        r"(mad|glad|moody|defeat\w*|mentoring|sceptre|concerned|rage|overlay|l10n|shyde|quenoth/)"
    )
    return re.search(moods, str(path).split("images/")[-1]) is None


def _packed(packages: Path, name: str) -> Iterator[bytes]:
    """JPEGs that a Qt resource file stores as they are."""
    (file,) = (packages / "gcompris-qt-data").rglob(f"{name}.rcc")
    data = file.read_bytes()
    for match in re.finditer(rb"RIFF....WEBP|\xff\xd8\xff[\xe0\xe1\xdb]", data, re.DOTALL):
        begin = match.start()
        if data.startswith(b"RIFF", begin):
            end = begin + 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
        else:
            end = data.find(b"\xff\xd9", begin) + 2
        try:
            with Image.open(io.BytesIO(data[begin:end])) as image:
                if min(image.size) >= 400:
                    yield data[begin:end]
        except OSError:
            continue


def _opened(source: Source, side: int) -> Image.Image:
    if isinstance(source, Path):
        return small(source, side)
    image = Image.fromarray(load(source).array)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return image


def _light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A little brighter or darker, as another program would save it."""
    table = 255 * (np.arange(256) / 255) ** np.exp(rng.uniform(-0.25, 0.25))
    return image.point(np.tile(np.clip(table, 0, 255).astype(int), 3).tolist())


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def _page(pictures: Sequence[Image.Image], number: int, rng: np.random.Generator) -> Image.Image:
    """A long screenshot of an app: four looks, text in lines, and images between."""
    paper, ink = ((250, 20), (24, 220), (255, 60), (236, 10))[number % 4]
    height = int(rng.integers(4800, 7600))
    page = Image.new("RGB", (1080, height), (paper, paper, paper))
    draw = ImageDraw.Draw(page)
    accent = tuple(int(v) for v in rng.integers(0, 255, 3))
    draw.rectangle((0, 0, 1080, 150), fill=accent)
    fonts: Callable[[float], ImageFont.FreeTypeFont] = ImageFont.load_default  # type: ignore[assignment]
    draw.text((40, 50), " ".join(rng.choice(_WORDS, 3)).title(), fill="white", font=fonts(52))
    y = 200
    while y < height - 200:
        if rng.random() < 0.3:
            picture = pictures[int(rng.integers(len(pictures)))].copy()
            width = int(rng.choice([480, 720, 1000]))
            picture = picture.resize((width, round(picture.height * width / picture.width)))
            picture = picture.crop((0, 0, width, min(picture.height, 700)))
            page.paste(picture, (40, y))
            y += picture.height + 40
            continue
        size = float(rng.choice([28, 34, 34, 34, 56]))
        for _ in range(int(rng.integers(1, 9))):
            line = " ".join(rng.choice(_WORDS, int(900 / size / 3.6)))
            draw.text((40, y), line, fill=(ink, ink, ink), font=fonts(size))
            y += round(size * 1.45)
        y += 40
    return page
