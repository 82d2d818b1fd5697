"""Pairs that differ in a small place, or in what no screen shows: which file would be given up?

    python benchmarks/copies_close.py [--quick] [--count COUNT] [--keep DIR] [--model NAME-OR-FILE]

Eighteen kinds of pairs, made here: pages, tables, chats, notes, puzzles and photos at the sizes
of scanners and phones, of which one place differs in one of both, which may be smaller than the
other one; and the same image with more levels, keywords, a comment or another camera's facts in
one of both. In the former, every verdict *copy* and every spare file is wrong; in the latter,
whose pairs are copies, a spare file is wrong where it is the one that has more. ``--keep`` keeps
the images.
"""

from __future__ import annotations

import io
import resource
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFont

from copies_generated import texture
from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Gallery
from measure import arguments, print_table, write_results

Rng = np.random.Generator
Pair = tuple[Image.Image, Image.Image]
_INK, _PAPER = (28, 28, 32), (251, 251, 249)
_WORDS = (
    *("sum", "of", "rent", "is", "due", "on", "every", "first"),
    *("month", "paid", "owner", "without", "notice", "agreed", "shall", "be"),
)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def page(rng: Rng, width: int = 1654, height: int = 2339, size: int = 26) -> Image.Image:
    """A page of 200 dots per inch."""
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    for y in range(150, height - 200, round(1.7 * size)):
        line = " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), width // (4 * size)))
        draw.text((140, y), f"{int(rng.integers(100, 9999))} {line}", _INK, font(size))
    return image


def written(image: Image.Image, texts: tuple[str, str], at: tuple[int, int], **how: Any) -> Pair:
    """The image with each of two texts."""
    pair = image.copy(), image.copy()
    for one, text in zip(pair, texts, strict=True):
        ImageDraw.Draw(one).text(at, text, **({"fill": _INK, "font": font(26)} | how))
    return pair


def digits(rng: Rng) -> Pair:
    return written(page(rng), ("4.253,00", "4.258,00"), (1100, 2230))


def smaller_page(rng: Rng) -> Pair:
    one, two = digits(rng)
    return one, two.resize((two.width * 6 // 10, two.height * 6 // 10), Image.Resampling.LANCZOS)


def pencil(rng: Rng) -> Pair:
    return written(page(rng, size=30), ("", "paid, 3 May"), (900, 2220), fill=(231, 231, 229))


def chat(rng: Rng, texts: tuple[str, str]) -> Pair:
    image = Image.new("RGB", (1080, int(rng.integers(4000, 7000))), (236, 229, 221))
    draw = ImageDraw.Draw(image)
    y = 40
    while y < image.height - 400:
        tall, left = int(rng.integers(80, 200)), 330 if rng.integers(2) else 30
        draw.rounded_rectangle((left, y, left + 700, y + tall), 18, (255, 255, 255))
        line = " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), 6))
        draw.text((left + 24, y + 16), line, _INK, font(34))
        y += tall + 24
    return written(image, texts, (60, y + 20), font=font(34))


def chats(rng: Rng) -> Pair:
    return chat(rng, ("see you at 18:30", "see you at 16:30"))


def smaller_chats(rng: Rng) -> Pair:
    one, two = chats(rng)
    return one, two.resize((720, two.height * 2 // 3), Image.Resampling.LANCZOS)


def batteries(rng: Rng) -> Pair:
    return written(chat(rng, ("", ""))[0], ("67 %", "66 %"), (980, 4), font=font(24))


def tables(rng: Rng) -> Pair:
    image = Image.new("RGB", (2560, 1440), "white")
    draw = ImageDraw.Draw(image)
    for x in range(20, 2400, 126):
        for y in range(10, 1380, 25):
            draw.text((x, y), str(int(rng.integers(100, 99999))), "black", font(15))
    return written(image, ("7301", "7307"), (1400, 1412), font=font(15))


def photo(rng: Rng) -> Image.Image:
    return texture(rng, 2400, 1800)


def dates(rng: Rng) -> Pair:
    colour = {"fill": (250, 150, 30), "font": font(22)}
    return written(photo(rng), ("12 03 '98", "12 05 '98"), (2200, 1760), **colour)


def numbers(rng: Rng) -> Pair:
    return written(photo(rng), ("ID 4711", "ID 4712"), (40, 40), fill="white", font=font(20))


def spots(rng: Rng) -> Pair:
    pair = photo(rng), None
    other = pair[0].copy()
    x, y = int(rng.integers(200, 2200)), int(rng.integers(200, 1600))
    ImageDraw.Draw(other).ellipse((x, y, x + 11, y + 8), (24, 24, 24))
    return pair[0], other


def pins(rng: Rng) -> Pair:
    image = photo(rng)
    pair = image.copy(), image.copy()
    for one in pair:
        x, y = int(rng.integers(200, 2200)), int(rng.integers(200, 1600))
        ImageDraw.Draw(one).ellipse((x, y, x + 20, y + 20), (220, 20, 20))
    return pair


def eyes(rng: Rng) -> Pair:
    """Something small that is out of focus in one of both."""
    image = photo(rng)
    for _ in range(400):
        x, y = int(rng.integers(0, 2380)), int(rng.integers(0, 1780))
        ImageDraw.Draw(image).ellipse((x, y, x + 9, y + 5), tuple(rng.integers(0, 255, 3).tolist()))
    ImageDraw.Draw(image).ellipse((1210, 905, 1250, 925), "white", "black")
    ImageDraw.Draw(image).ellipse((1224, 907, 1238, 921), "brown", "black")
    other = image.copy()
    box = (1200, 900, 1260, 930)
    small = other.crop(box).resize((6, 3), Image.Resampling.BOX)
    other.paste(small.resize((60, 30), Image.Resampling.BICUBIC), box)
    return image, other


def sprites(rng: Rng) -> Pair:
    colours = np.array([[20, 20, 40], [90, 160, 80], [220, 200, 120], [200, 60, 60]], np.uint8)
    cells = rng.integers(0, 4, (64, 64))
    other = cells.copy()
    other[30, 30] = (other[30, 30] + 1) % 4
    one, two = (Image.fromarray(colours[each]).resize((256, 256), 0) for each in (cells, other))
    return one, two


def plots(rng: Rng) -> Pair:
    image = Image.new("RGB", (900, 600), "white")
    draw = ImageDraw.Draw(image)
    height = 300 + 90 * np.sin(np.arange(40) / 4) + rng.normal(0, 20, 40)
    draw.line([(50 + 20 * i, float(y)) for i, y in enumerate(height)], (30, 70, 200), 2)
    draw.line((50, 50, 50, 550), "black")
    draw.line((50, 550, 850, 550), "black")
    for i in range(0, 40, 5):
        draw.text((45 + 20 * i, 556), str(i), "black", font(14))
    return written(image, ("p = .03", "p = .05"), (700, 60), font=font(14))


DIFFERENT: dict[str, Callable[[Rng], Pair]] = {
    made.__name__: made
    for made in (
        digits, smaller_page, pencil, chats, smaller_chats, batteries, tables, dates, numbers,
        spots, pins, eyes, sprites, plots,
    )
}  # fmt: skip


def as_file(image: Image.Image, quality: int, **more: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG" if quality == 100 else "JPEG", quality=quality, **more)
    return target.getvalue()


def levels(rng: Rng) -> tuple[bytes, bytes]:
    """A PNG of 16 bits a channel, which Pillow does not write, and one of 8."""
    image = texture(rng, 640, 480)
    deep = (np.asarray(image).astype(np.uint16) * 256 + rng.integers(0, 256, (480, 640, 3))).astype(
        ">u2"
    )
    rows = b"".join(b"\0" + row.tobytes() for row in deep)

    def chunk(name: bytes, data: bytes) -> bytes:
        ending = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + ending

    head = (640).to_bytes(4, "big") + (480).to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))
    made = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + made, as_file(image, 100)


def keywords(rng: Rng) -> tuple[bytes, bytes]:
    image = texture(rng, 640, 480)
    packet = b'<rdf:Description xmp:Rating="5"><dc:subject><rdf:li>Oma</rdf:li></dc:subject>'
    return as_file(image, 90, xmp=packet), as_file(image, 90)


def comments(rng: Rng) -> tuple[bytes, bytes]:
    image = texture(rng, 640, 480)
    return as_file(image, 80, comment=b"Christmas 1971"), as_file(image, 95)


def apertures(rng: Rng) -> tuple[bytes, bytes]:
    image = texture(rng, 640, 480)
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "a program"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    return as_file(image, 100, exif=exif), as_file(image, 100)


MORE: dict[str, Callable[[Rng], tuple[bytes, bytes]]] = {
    made.__name__: made for made in (levels, keywords, comments, apertures)
}


def make(folder: Path, count: int) -> None:
    for kind in (*DIFFERENT, *MORE):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng([number, len(kind), 7])
            quality = 100 if kind in ("tables", "sprites", "plots") else int(rng.integers(80, 95))
            if kind in DIFFERENT:
                one, two = DIFFERENT[kind](rng)
                pair = (
                    as_file(one, quality),
                    as_file(two, max(quality - 5, 75) if quality < 100 else 100),
                )
            else:
                pair = MORE[kind](rng)
            for name, data in zip(("a longer name", "b"), pair, strict=True):
                ending = "png" if data[:1] == b"\x89" else "jpg"
                (folder / kind / f"{number} {name}.{ending}").write_bytes(data)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=6, help="pairs of each kind")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    count = 1 if options.quick else options.count
    with TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)) / "images"
        make(folder, count)
        with Gallery(Path(temporary) / "gallery", regions="none", model=options.model) as gallery:
            gallery.add(folder)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            groups = gallery.duplicates("copy")
            seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    figures: dict[str, Any] = {}
    for kind in (*DIFFERENT, *MORE):
        mine = [group for group in groups if group.kept.parent.name == kind]
        spare = [path for group in mine for image in group.images for path in image.spare]
        if kind in MORE:
            spare = [path for path in spare if "longer" in path.name]
        copies = 0 if kind in MORE else sum(len(group.images) - 1 for group in mine)
        figures[kind] = {"pairs": count, "wrong_copies": copies, "wrong_spare": len(spare)}
    print_table(
        "Pairs that differ",
        ["", "pairs", "wrongly called copy", "wrongly called spare"],
        [(kind, *each.values()) for kind, each in figures.items()],
    )
    total = {
        name: sum(each[name] for each in figures.values())
        for name in ("pairs", "wrong_copies", "wrong_spare")
    }
    print(total, f"{seconds:.0f} s of processor time")
    if options.model == DEFAULT_MODEL:
        write_results(
            "copies_close", figures | total | {"cpu_seconds": seconds}, quick=options.quick
        )


if __name__ == "__main__":
    main()
