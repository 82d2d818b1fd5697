"""Images that look like copies and are none: how many would `glocal duplicates` give up?

    python benchmarks/copies_generated.py [--quick] [--count COUNT] [--within] [--keep DIR]
        [--model NAME-OR-FILE]

A hundred images (or COUNT) of each of eight kinds, made here, in sets of four that share all but
what matters: forms that different people filled in, memes of one image with different texts,
receipts of one shop, pages of one chat, a camera that stands still before different people, and one
product in different colours, bottles of one shape with different labels, and different content in
one frame. No image is a copy of another, so every spare file is wrong, and so is
every verdict *copy*, but for one: a meme beside the bare image, which is not among them. ``--keep``
writes each image that was called a copy beside the one that leads its group. All images of a kind
are so alike that nearly every pair is compared in colour, a quarter of a second each; ``--within``
compares only the images of one set with one another.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from copies_real import side_by_side
from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Gallery
from measure import arguments, print_table, write_results
from surroundings import bottle, framed

SET = 4
_NAMES = ("Anna", "Bert", "Clara", "David", "Elif", "Franz", "Greta", "Hamid", "Ida", "Jonas")
_WORDS = (
    "rain",
    "bread",
    "seven",
    "window",
    "green",
    "letter",
    "stone",
    "river",
    "paper",
    "coffee",
)
_HUES = ((230, 120, 20), (30, 150, 60), (30, 80, 200), (200, 30, 40))
Rng = np.random.Generator


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def words(rng: Rng, count: int) -> str:
    return " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), count))


def texture(rng: Rng, width: int, height: int) -> Image.Image:
    """A background as smooth and as detailed as a photo."""
    mixed = np.full((height, width, 3), 125.0, np.float32)
    for cells, strength in ((3, 60), (8, 40), (25, 25), (80, 14)):
        layer = (rng.normal(0, strength, (cells, cells, 3)).clip(-127, 127) + 128).astype(np.uint8)
        mixed += np.asarray(Image.fromarray(layer).resize((width, height), 3), np.float32) - 128
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def forms(shared: Rng, own: Rng) -> Image.Image:
    page = Image.new("RGB", (800, 1130), (252, 252, 248))
    draw = ImageDraw.Draw(page)
    draw.text((60, 40), f"Application for {words(shared, 3)}", "black", font(28))
    for row in range(18):
        y = 110 + 54 * row
        draw.text((60, y), f"{row + 1}. {words(shared, 2)}", "black", font(17))
        draw.line((330, y + 26, 740, y + 26), "black", 1)
        if row % 3 == 0:
            text = f"{_NAMES[int(own.integers(10))]} {int(own.integers(10, 99))}"
            draw.text((340, y), text, (20, 30, 120), font(21))
    return page


def memes(shared: Rng, own: Rng) -> Image.Image:
    image = texture(shared, 640, 480)
    draw = ImageDraw.Draw(image)
    for y, anchor in ((18, "ma"), (462, "md")):
        text = words(own, 2).upper()
        draw.text((320, y), text, "white", font(46), anchor, stroke_width=4, stroke_fill="black")
    return image


def receipts(shared: Rng, own: Rng) -> Image.Image:
    page = Image.new("RGB", (420, 900), (246, 245, 240))
    draw = ImageDraw.Draw(page)
    draw.text((210, 30), words(shared, 2).upper(), "black", font(30), "ma")
    draw.text((210, 75), "Main Street 12, 04103", "black", font(17), "ma")
    day, total = int(own.integers(1, 29)), 0.0
    draw.text((40, 120), f"{day:02d}.05.2024 {int(own.integers(8, 20)):02d}:15", "black", font(17))
    for row in range(9):
        price = float(own.integers(99, 1999)) / 100
        total += price
        draw.text((40, 170 + 44 * row), words(shared, 2), "black", font(19))
        draw.text((380, 170 + 44 * row), f"{price:.2f}", "black", font(19), "ra")
    draw.text((40, 600), "TOTAL", "black", font(26))
    draw.text((380, 600), f"{total:.2f}", "black", font(26), "ra")
    draw.text((210, 800), "Thank you for your visit", "black", font(18), "ma")
    return page


def chats(shared: Rng, own: Rng) -> Image.Image:
    page = Image.new("RGB", (540, 1100), (236, 229, 221))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 540, 90), (7, 94, 84))
    draw.text((90, 28), _NAMES[int(shared.integers(10))], "white", font(28))
    y = 120
    while y < 1000:
        height, mine = int(own.integers(50, 110)), bool(own.integers(2))
        left = 180 if mine else 20
        fill = (220, 248, 198) if mine else (255, 255, 255)
        draw.rounded_rectangle((left, y, left + 340, y + height), 12, fill)
        draw.text((left + 14, y + 10), words(own, 4), "black", font(19))
        y += height + 16
    return page


def cameras(shared: Rng, own: Rng) -> Image.Image:
    """One background, and nobody or somebody of 10 to 18 % of the width; every shot has noise."""
    image = texture(shared, 800, 600)
    for number in range(int(own.integers(0, 3))):
        wide = int(800 * own.uniform(0.10, 0.18))
        tall = int(2.4 * wide)
        clothes = texture(own, wide, tall)
        mask = Image.new("L", (wide, tall))
        draw = ImageDraw.Draw(mask)
        draw.ellipse((wide * 0.3, 0, wide * 0.7, tall * 0.2), 255)
        draw.rounded_rectangle((wide * 0.1, tall * 0.2, wide * 0.9, tall), wide // 4, 255)
        left = int(own.integers(20, 780 - wide)) if number else int(own.integers(20, 380))
        image.paste(clothes, (left, 580 - tall), mask.filter(ImageFilter.GaussianBlur(1)))
    # Somebody always differs: the time in a corner, as such cameras write it.
    clock = f"{int(own.integers(24)):02d}:{int(own.integers(60)):02d}:{int(own.integers(60)):02d}"
    ImageDraw.Draw(image).text((640, 12), clock, "white", font(26))
    noisy = np.asarray(image, np.float32) + own.normal(0, 2.0, (600, 800, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def products(shared: Rng, own: Rng) -> Image.Image:
    """The hue comes by turns: see `make`."""
    page = Image.new("RGB", (640, 640), (244, 244, 244))
    shade = np.asarray(texture(shared, 640, 640).convert("L"), np.float32)[..., None] / 255
    hue = _HUES[int(own.integers(4))]
    body = Image.fromarray(((0.45 + 0.7 * shade) * hue).clip(0, 255).astype(np.uint8))
    mask = Image.new("L", (640, 640))
    draw = ImageDraw.Draw(mask)
    x, y = (int(v) for v in shared.integers(90, 170, 2))
    draw.rounded_rectangle((x, y, 640 - x, 640 - y), 60, 255)
    draw.ellipse((260, 40, 380, 160), 255)
    page.paste(body, mask=mask)
    return page


def content(rng: Rng) -> Image.Image:
    """A drawing of a few flat colours, or something as detailed as a photo."""
    if rng.integers(2):
        return texture(rng, 480, 360)
    page = Image.new("RGB", (480, 360), "white")
    draw = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(3, 9))):
        x, y = (int(v) for v in rng.integers(0, 300, 2))
        colour = tuple(int(v) for v in rng.choice([0, 90, 170, 240], 3))
        draw.ellipse((x, y, x + 40 + x // 2, y + 30 + y // 3), colour)
    draw.text((240, 320), words(rng, 3), "black", font(30), "mm")
    return page


def labels(shared: Rng, own: Rng) -> Image.Image:
    return bottle(content(own), shared, own)


def frames(shared: Rng, own: Rng) -> Image.Image:
    return framed(content(own), shared, own)


KINDS: dict[str, Callable[[Rng, Rng], Image.Image]] = {
    each.__name__: each
    for each in (forms, memes, receipts, chats, cameras, products, labels, frames)
}


class _Turn:
    """Stands for a generator whose numbers are the turn: each product of a set has its own hue."""

    def __init__(self, turn: int) -> None:
        self._turn = turn

    def integers(self, _most: int) -> int:
        return self._turn


def make(folder: Path, count: int) -> None:
    for kind, draw in KINDS.items():
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            shared = np.random.default_rng([number // SET, len(kind)])
            own = np.random.default_rng([number, len(kind), 1])
            turn = _Turn(number % SET) if kind == "products" else own
            draw(shared, turn).save(  # type: ignore[arg-type]
                folder / kind / f"{number:03d}.jpg", quality=int(own.integers(80, 95))
            )


def sets(gallery: Gallery) -> list[list[str]]:
    """The ids of the images that share all but what matters."""
    found: dict[tuple[str, int], list[str]] = {}
    catalog = gallery._catalog
    for content, files in catalog.files_of(catalog.content_ids()).items():
        path = files[0][1]
        found.setdefault((path.parent.name, int(path.stem) // SET), []).append(content.hex)
    return list(found.values())


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=100, help="images of each kind")
    parser.add_argument("--within", action="store_true", help="compare only within the sets")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    count = 8 if options.quick else options.count
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder / "images", count)
        with Gallery(folder / "gallery", regions="none", model=options.model) as gallery:
            gallery.add(folder / "images")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            among = sets(gallery) if options.within else None
            groups = gallery.duplicates("copy", among=among)
            seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        pairs = [(group.kept, image.path) for group in groups for image in group.images[1:]]
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            for number, pair in enumerate(pairs):
                side_by_side(pair, options.keep / f"{number:03d}.png")
    figures: dict[str, Any] = {}
    for kind in KINDS:
        mine = [group for group in groups if group.kept.parent.name == kind]
        figures[kind] = {
            "images_in_groups": sum(group.files() for group in mine),
            "copies": sum(len(group.images) - 1 for group in mine),
            "spare": sum(len(image.spare) for group in mine for image in group.images),
        }
    rows = [(kind, *each.values()) for kind, each in figures.items()]
    print_table(
        "No image is a copy of another",
        ["", "images in groups", "called copy", "called spare"],
        rows,
    )
    total = sum(each["spare"] for each in figures.values())
    print(f"{total} files called spare; {seconds:.0f} s of processor time")
    told = [[f"{path.parent.name}/{path.name}" for path in pair] for pair in pairs]
    print("called copies:", told)
    figures |= {"images_of_each": count, "within_sets": options.within}
    figures |= {"called_copies": told, "cpu_seconds": seconds}
    if options.model == DEFAULT_MODEL:
        write_results("copies_generated", figures, quick=options.quick)


if __name__ == "__main__":
    main()
