"""Which of several copies stays: each folder has the files of one group, and one may not go."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import scene
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from glocal.gallery import DuplicateGroup, Duplicates, Gallery
from glocal.gallery.holdings import Held, Holding, companions, held
from glocal.gallery.keeping import best_path
from glocal.gallery.originals import has_detail, made_from

Group = tuple[set[str], set[str]]


def exif(taken: str = "2019:05:12 10:00:00") -> Image.Exif:
    made = Image.Exif()
    made[ExifTags.Base.Make], made[ExifTags.Base.Model] = "Canon", "EOS R5"
    made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    return made


def smaller(image: Image.Image, factor: float) -> Image.Image:
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.LANCZOS)


def transparent(image: Image.Image) -> Image.Image:
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse((20, 20, image.width - 20, image.height - 20), 255)
    image.putalpha(mask)
    return image


def grey(folder: Path) -> Group:
    scene(1).save(folder / "colour.jpg", quality=80)
    scene(1).convert("L").save(folder / "grey.png")
    return {"colour.jpg", "grey.png"}, {"grey.png"}


def flattened(folder: Path) -> Group:
    image = transparent(scene(2))
    image.save(folder / "transparent.png")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    white.save(folder / "on white.jpg", quality=95)
    return {"transparent.png", "on white.jpg"}, {"on white.jpg"}


def stretched(folder: Path) -> Group:
    scene(3).save(folder / "original.jpg", quality=90)
    scene(3).resize((590, 360)).save(folder / "wide.jpg", quality=90)
    return {"original.jpg", "wide.jpg"}, {"wide.jpg"}


def enlarged(folder: Path) -> Group:
    soft = scene(4).filter(ImageFilter.GaussianBlur(0.7))  # as photos are, at full size
    soft.save(folder / "original.jpg", quality=85)
    soft.resize((1200, 900), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=95)
    return {"original.jpg", "large.jpg"}, {"large.jpg"}


def reduced(folder: Path) -> Group:
    scene(5, 960, 720).save(folder / "original.jpg", quality=85)
    smaller(scene(5, 960, 720), 0.4).save(folder / "small.jpg", quality=90)
    return {"original.jpg", "small.jpg"}, {"small.jpg"}


def resaved(folder: Path) -> Group:
    """The camera's file, and what a program made of it, larger in bytes and without its facts."""
    scene(6).save(folder / "camera.jpg", quality=80, exif=exif())
    with Image.open(folder / "camera.jpg") as image:
        image.convert("RGB").save(folder / "resaved.jpg", quality=97)
    return {"camera.jpg", "resaved.jpg"}, {"resaved.jpg"}


def saved_twice(folder: Path) -> Group:
    """Neither has facts, but the larger one was made from the other one."""
    scene(7).save(folder / "first.jpg", quality=75)
    with Image.open(folder / "first.jpg") as image:
        image.convert("RGB").save(folder / "second.jpg", quality=92)
    return {"first.jpg", "second.jpg"}, {"second.jpg"}


def saved_without_loss(folder: Path) -> Group:
    """A PNG of a JPEG's pixels is ten times as large and no better."""
    scene(17).save(folder / "first.jpg", quality=75)
    with Image.open(folder / "first.jpg") as image:
        image.save(folder / "second.png")
    return {"first.jpg", "second.png"}, {"second.png"}


def rotated(folder: Path) -> Group:
    scene(8).save(folder / "original.jpg", quality=85, exif=exif())
    scene(8).rotate(4, Image.Resampling.BICUBIC).crop((40, 40, 440, 320)).save(
        folder / "straightened.jpg", quality=95
    )
    return {"original.jpg", "straightened.jpg"}, {"straightened.jpg"}


def cropped(folder: Path) -> Group:
    scene(9).save(folder / "whole.jpg", quality=90)
    scene(9).crop((30, 20, 430, 330)).save(folder / "crop.jpg", quality=90)
    return {"whole.jpg", "crop.jpg"}, {"crop.jpg"}


def bordered(folder: Path) -> Group:
    scene(10).save(folder / "bare.png")
    ImageOps.expand(scene(10), 30, "white").save(folder / "framed.png")
    return {"bare.png", "framed.png"}, {"framed.png"}


def toned(folder: Path) -> Group:
    scene(11).save(folder / "one.jpg", quality=90)
    scene(11).point(lambda v: min(255, 1.3 * v)).save(folder / "bright.jpg", quality=90)
    return {"one.jpg", "bright.jpg"}, set()


def dates(folder: Path) -> Group:
    scene(12).save(folder / "one.jpg", quality=90, exif=exif())
    smaller(scene(12), 0.5).save(folder / "two.jpg", exif=exif("2020:05:12 10:00:00"))
    return {"one.jpg", "two.jpg"}, set()


def pages(folder: Path) -> Group:
    """A scan, and the document whose first page it is."""
    first, *others = (scene(seed) for seed in range(30, 42))
    smaller(first, 0.9).save(folder / "document.tiff", save_all=True, append_images=others)
    first.save(folder / "page 1.jpg", quality=95)
    return {"document.tiff", "page 1.jpg"}, set()


def thumbnail_first(folder: Path) -> Group:
    whole = scene(13, 960, 720)
    smaller(whole, 0.3).save(folder / "scan.tiff", save_all=True, append_images=[whole])
    smaller(whole, 0.6).save(folder / "copy.jpg", quality=95)
    return {"scan.tiff", "copy.jpg"}, set()


def animated(folder: Path) -> Group:
    frames = [scene(seed) for seed in (14, 50, 51)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    frames[0].resize((960, 720)).save(folder / "still.png")
    return set(), set()  # 256 colours are too few to be sure that it is a copy


def animated_webp(folder: Path) -> Group:
    frames = [scene(seed) for seed in (15, 52, 53)]
    frames[0].save(folder / "film.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(folder / "still.png")
    return {"film.webp", "still.png"}, set()


def captioned(folder: Path) -> Group:
    """One image with three texts, and the image itself."""
    scene(16).save(folder / "bare.png")
    for text in ("ON MONDAY", "THE BOSS", "NOBODY"):
        image = scene(16)
        font = ImageFont.load_default(48)
        ImageDraw.Draw(image).text((240, 20), text, "white", font, "ma")
        image.save(folder / f"{text}.jpg", quality=85)
    return set(), set()


def deep(folder: Path) -> Group:
    """16 bits in each channel, which show as the same 8 bits; the longer name would go."""
    levels = np.asarray(scene(18), np.uint16)
    rng = np.random.default_rng(1)
    deeper = (256 * levels + rng.integers(0, 256, levels.shape)).astype(np.uint16)
    (folder / "of sixteen bits.png").write_bytes(png_of_16_bits(deeper))
    scene(18).save(folder / "8.png")
    return {"of sixteen bits.png", "8.png"}, {"8.png"}


def keywords(folder: Path) -> Group:
    scene(19).save(folder / "b.jpg", quality=90)
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmp:Rating="5"><dc:subject><rdf:Bag>'
        b"<rdf:li>grandmother</rdf:li></rdf:Bag></dc:subject></rdf:Description></x:xmpmeta>"
    )
    segment = b"http://ns.adobe.com/xap/1.0/\0" + packet
    with_segment(folder / "b.jpg", folder / "with keywords.jpg", 0xE1, segment)
    return {"with keywords.jpg", "b.jpg"}, {"b.jpg"}


def other_notes(folder: Path) -> Group:
    """Each has a note that the other one lacks."""
    scene(20).save(folder / "a.jpg", quality=90, comment=b"Christmas 1971")
    caption = b"\x1c\x02\x78" + (4).to_bytes(2, "big") + b"Oma!"
    block = b"8BIM\x04\x04\0\0" + len(caption).to_bytes(4, "big") + caption + b"\0"
    scene(20).save(folder / "bare.jpg", quality=90)
    with_segment(folder / "bare.jpg", folder / "b.jpg", 0xED, b"Photoshop 3.0\0" + block)
    (folder / "bare.jpg").unlink()
    return {"a.jpg", "b.jpg"}, set()


def exposures(folder: Path) -> Group:
    """One of two re-saves with date and camera has lost aperture and shutter time."""
    more = exif()
    more.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    scene(21).save(folder / "b.png", exif=exif())
    scene(21).save(folder / "a longer name.png", exif=more)
    return {"b.png", "a longer name.png"}, {"b.png"}


def printing_colours(folder: Path) -> Group:
    scene(22).convert("CMYK").save(folder / "for the printer.jpg", quality=95)
    with Image.open(folder / "for the printer.jpg") as opened:
        opened.convert("RGB").save(folder / "b.png")
    return {"for the printer.jpg", "b.png"}, {"b.png"}


def digits(folder: Path) -> Group:
    """Scans of a page and of another one of which a digit differs, at half the size."""
    page = Image.new("RGB", (1500, 2000), (250, 250, 248))
    draw = ImageDraw.Draw(page)
    rng = np.random.default_rng(3)
    for y in range(100, 1900, 50):
        numbers = "   ".join(str(n) for n in rng.integers(1000, 9999, 14))
        draw.text((120, y), numbers, (20, 20, 24), ImageFont.load_default(26))
    for number in (4253, 4258):
        draw.rectangle((600, 1900, 760, 1940), (250, 250, 248))
        draw.text((600, 1900), str(number), (20, 20, 24), ImageFont.load_default(26))
        page.save(folder / f"{number}.jpg", quality=88)
    smaller(page, 0.7).save(folder / "4258 small.jpg", quality=85)
    return {"4258.jpg", "4258 small.jpg"}, {"4258 small.jpg"}


def png_of_16_bits(levels: NDArray[np.uint16]) -> bytes:
    """Pillow writes no such colours: ``(h, w, 3)``, one filter byte 0 before each row."""
    height, width = levels.shape[:2]
    rows = levels.astype(">u2").tobytes()
    size = width * 6
    data = b"".join(b"\0" + rows[at : at + size] for at in range(0, len(rows), size))

    def chunk(name: bytes, content: bytes) -> bytes:
        ending = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + ending

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_segment(source: Path, target: Path, marker: int, content: bytes) -> None:
    """A JPEG with one more segment."""
    data = source.read_bytes()
    segment = bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content
    target.write_bytes(data[:2] + segment + data[2:])


FOLDERS: dict[str, Callable[[Path], Group]] = {
    made.__name__: made
    for made in (
        grey,
        flattened,
        stretched,
        enlarged,
        reduced,
        resaved,
        saved_twice,
        saved_without_loss,
        rotated,
        cropped,
        bordered,
        toned,
        dates,
        pages,
        thumbnail_first,
        animated,
        animated_webp,
        captioned,
        deep,
        keywords,
        other_notes,
        exposures,
        printing_colours,
        digits,
    )
}


@pytest.fixture(scope="module")
def groups(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, list[DuplicateGroup]], dict[str, Group]]:
    root = tmp_path_factory.mktemp("folders")
    expected = {}
    for name, made in FOLDERS.items():
        (root / name).mkdir()
        expected[name] = made(root / name)
    with Gallery(tmp_path_factory.mktemp("gallery")) as gallery:
        assert not gallery.add(root).failed
        found: Duplicates = gallery.duplicates()
    by_folder: dict[str, list[DuplicateGroup]] = {name: [] for name in FOLDERS}
    for group in found:
        by_folder[group.kept.parent.name].append(group)
    return by_folder, expected


@pytest.mark.parametrize("name", FOLDERS)
def test_of_each_folder_the_right_file_stays(
    name: str, groups: tuple[dict[str, list[DuplicateGroup]], dict[str, Group]]
) -> None:
    found, expected = groups[0][name], groups[1][name]
    spare = {path.name for group in found for image in group.images for path in image.spare}
    assert spare == expected[1], [(i.path.name, i.reason) for g in found for i in g.images]
    if expected[0]:
        (group,) = found
        assert {image.path.name for image in group.images} == expected[0]
        assert all(image.path.parent.name == name for image in group.images)
        assert all(image.edits and image.reason for image in group.images[1:])


def test_of_identical_files_the_tidy_one_stays() -> None:
    files = [Path("/incoming/a.jpg"), Path("/p/2019/05/DSC_1.jpg"), Path("/p/DSC_1 (2).jpg")]
    assert best_path(files) == files[1]
    assert best_path(files, [Path("/incoming")]) == files[0]
    assert best_path([Path("/p/long"), Path("/p/b"), Path("/p/a")]) == Path("/p/a")


def test_detail_that_an_enlarged_image_cannot_have() -> None:
    image = scene(20, 800, 600)
    assert has_detail(np.asarray(image), 2.5) is True
    large = smaller(image, 0.4).resize((800, 600), Image.Resampling.BICUBIC)
    assert has_detail(np.asarray(large), 2.5) is False
    assert has_detail(np.full((300, 300, 3), 9, np.uint8), 2.0) is None


def test_a_jpeg_is_what_its_source_becomes(tmp_path: Path) -> None:
    scene(21).save(tmp_path / "first.jpg", quality=75)
    with Image.open(tmp_path / "first.jpg") as image:
        image.convert("RGB").save(tmp_path / "second.jpg", quality=92)
        image.filter(ImageFilter.BLUR).save(tmp_path / "blurred.png")
    names = ("first.jpg", "second.jpg", "blurred.png")
    first, second, blurred = ((tmp_path / name).read_bytes() for name in names)
    forward, back = made_from(second, first), made_from(first, second)
    assert forward is not None
    assert back is not None
    assert forward < 0.05 < back
    assert made_from(blurred, first) is None  # no JPEG has no tables
    apart = made_from(first, blurred)
    assert apart is not None
    assert apart > 2


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.gif", Holding.ANIMATION, {"save_all": True}),
        ("a.webp", Holding.ANIMATION, {"save_all": True}),
        ("a.png", Holding.ANIMATION, {"save_all": True}),
        ("a.avif", Holding.ANIMATION, {"save_all": True}),
        ("a.tiff", Holding.PAGES, {"save_all": True}),
        ("a.mpo", Holding.IMAGES, {"save_all": True}),
        ("b.gif", Holding.IMAGE, {}),
        ("b.webp", Holding.IMAGE, {}),
        ("b.png", Holding.IMAGE, {}),
        ("b.avif", Holding.IMAGE, {}),
        ("b.tiff", Holding.IMAGE, {}),
        ("b.jpg", Holding.IMAGE, {}),
        ("b.jpg", Holding.IMAGE, {"progressive": True}),
        ("b.bmp", Holding.IMAGE, {}),
    ],
)
def test_what_a_file_holds(
    tmp_path: Path, name: str, kind: Holding, options: dict[str, bool]
) -> None:
    path = tmp_path / name
    frames = [scene(seed, 64, 48) for seed in range(2)]
    more = {"append_images": frames[1:]} if "save_all" in options else {}
    frames[0].save(path, **options, **more)  # type: ignore[arg-type]
    assert held(path.read_bytes(), path).kind is kind


def test_a_film_behind_a_jpeg_and_raw_are_more_than_an_image(tmp_path: Path) -> None:
    scene(0, 64, 48).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    film = data + b"\x00\x00\x00\x18ftypmp42" + bytes(50_000)
    assert held(film, "a.jpg").kind is Holding.FILM
    assert held(data + bytes(50_000), "a.jpg").kind is Holding.IMAGE  # padding
    assert held(data + b"?" * 50_000, "a.jpg").kind is Holding.UNKNOWN
    scene(0, 64, 48).save(tmp_path / "a.tiff")
    assert held((tmp_path / "a.tiff").read_bytes(), "a.dng") == Held(Holding.RAW)
    assert held(b"nothing", "a.jpg").kind is Holding.UNKNOWN


def test_what_belongs_to_an_image_shares_its_name(tmp_path: Path) -> None:
    for name in ("IMG_1.HEIC", "img_1.MOV", "IMG_1.heic.xmp", "IMG_10.mov", "IMG_1.jpg"):
        (tmp_path / name).touch()
    assert {path.name for path in companions(tmp_path / "IMG_1.HEIC")} == {
        "img_1.MOV",
        "IMG_1.heic.xmp",
    }
    assert companions(tmp_path / "nowhere" / "a.jpg") == ()


def test_a_folder_is_listed_once_for_all_its_files_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    scandir = os.scandir

    def counted(folder: str) -> object:
        listed.append(str(folder))
        return scandir(folder)

    monkeypatch.setattr("glocal.gallery.holdings.os.scandir", counted)
    (tmp_path / "0.mov").touch()
    os.utime(tmp_path, (1e9, 1e9))
    assert [bool(companions(tmp_path / f"{n}.jpg")) for n in range(9)] == [True] + 8 * [False]
    assert len(listed) == 1
    (tmp_path / "8.xmp").touch()
    assert companions(tmp_path / "8.jpg") == (tmp_path / "8.xmp",)  # it has changed just now
    (tmp_path / "7.xmp").touch()
    assert companions(tmp_path / "7.jpg") == (tmp_path / "7.xmp",)


def test_of_identical_files_one_whose_name_is_text_stays() -> None:
    illegible = Path(os.fsdecode(b"/photos/\xff.jpg"))
    assert best_path([illegible, Path("/photos/a much longer name.jpg")]).name.startswith("a much")
    assert best_path([illegible], [Path("/photos")]) == illegible
