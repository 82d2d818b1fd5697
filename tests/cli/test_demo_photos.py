from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glocal.cli import demo_photos, demo_reshoot
from glocal.cli.demo_photos import Altered, alter, gather
from glocal.errors import ImageError, MissingExtraError
from glocal.images.perspective import homography

CARRIED = all(importlib.util.find_spec(package) for package in ("skimage", "sklearn"))
needs_the_extra = pytest.mark.skipif(
    not CARRIED,
    reason="scikit-image and scikit-learn contain the sample photos: pip install 'glocal[demo]'",
)


def scene(width: int = 480, height: int = 320, seed: int = 0) -> Image.Image:
    """Blocks of random colours, so that every part can be recognised."""
    small = np.random.default_rng(seed).integers(30, 226, (8, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "photos" / f"photo{i}.png" for i in range(4)]
    paths[0].parent.mkdir()
    for i, path in enumerate(paths):
        scene(seed=i).save(path)
    return paths


def reopened(jpeg_or_path: Path) -> Image.Image:
    with Image.open(jpeg_or_path) as file:
        file.load()
        return file.convert("RGB")


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Correlation of two images' pixels at a common small size, from -1 to 1."""
    a, b = (
        np.asarray(p.resize((48, 32), Image.Resampling.BOX), float).ravel() for p in (one, other)
    )
    return float(np.corrcoef(a, b)[0, 1])


def best_place(part: Image.Image, whole: Image.Image) -> tuple[float, int, int]:
    """The best correlation of a part with any window of the whole, and where: by brute force."""
    small = np.asarray(part, float) - np.mean(np.asarray(part))
    pixels = np.asarray(whole, float)
    found = (-1.0, 0, 0)
    for top in range(whole.height - part.height + 1):
        for left in range(whole.width - part.width + 1):
            window = pixels[top : top + part.height, left : left + part.width]
            window = window - window.mean()
            norm = np.sqrt((small**2).sum() * (window**2).sum())
            found = max(found, (float((small * window).sum() / norm), left, top))
    return found


@needs_the_extra
def test_gather_writes_the_sample_photos(tmp_path: Path) -> None:
    photos = gather(tmp_path)
    assert photos == sorted(photos)
    assert len(photos) >= 15
    assert len({photo.stem for photo in photos}) == len(photos)
    names = {photo.relative_to(tmp_path).as_posix() for photo in photos}
    assert {"nature/cat.png", "places/pagoda.jpg", "things/motorcycle.png"} <= names
    for photo in photos:
        image = reopened(photo)
        assert min(image.size) >= 150
        assert np.asarray(image).std() > 5  # not blank


@needs_the_extra
def test_gather_writes_only_missing_and_damaged_files(tmp_path: Path) -> None:
    photos = gather(tmp_path)
    before = {photo: photo.stat().st_mtime_ns for photo in photos}
    whole = photos[0].read_bytes()
    photos[0].write_bytes(whole[:100])
    assert gather(tmp_path) == photos
    assert photos[0].read_bytes() == whole
    assert {p: p.stat().st_mtime_ns for p in photos[1:]} == {p: before[p] for p in photos[1:]}


@needs_the_extra
def test_gather_does_not_import_the_packages(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from glocal.cli.demo_photos import gather; "
        "gather(Path(sys.argv[1])); "
        "sys.exit(any(name in sys.modules for name in ('skimage', 'sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


@pytest.mark.parametrize("absent", ["skimage", "sklearn"])
def test_gather_names_the_command_that_installs_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == absent else find(n))
    if not CARRIED:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'pip install "glocal\[demo\]"'):
        gather(tmp_path)


@needs_the_extra
def test_gather_leaves_out_photos_that_a_package_no_longer_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"a/gone.png": ("skimage", "data/gone.png")}
    cat = {"nature/cat.png": ("skimage", "data/chelsea.png")}
    monkeypatch.setattr(demo_photos, "_PHOTOS", one | cat)
    assert gather(tmp_path) == [tmp_path / "nature" / "cat.png"]
    monkeypatch.setattr(demo_photos, "_PHOTOS", one)
    with pytest.raises(MissingExtraError, match="none of the demo's photos"):
        gather(tmp_path)


@needs_the_extra
def test_the_motorcycle_has_a_second_view(tmp_path: Path) -> None:
    photos = [p for p in gather(tmp_path / "photos") if p.stem == "motorcycle"]
    copies = alter(photos, tmp_path / "copies")
    [second] = [copy for copy in copies if copy.change == "second view"]
    assert second.original == photos[0]
    first, other = reopened(photos[0]), reopened(second.path)
    assert first.size == other.size
    assert np.abs(np.asarray(first, float) - np.asarray(other, float)).mean() > 15  # no copy
    # A piece of the first photo is found further left in the second, since it is near.
    small = tuple(p.resize((148, 100), Image.Resampling.BOX).convert("L") for p in (first, other))
    score, left, top = best_place(small[0].crop((60, 45, 90, 65)), small[1])
    assert score > 0.9
    assert top in {44, 45, 46}
    assert left < 60


@needs_the_extra
def test_a_users_photo_of_that_name_has_no_second_view(tmp_path: Path) -> None:
    own = tmp_path / "things" / "motorcycle.png"
    own.parent.mkdir()
    scene().save(own)
    assert "second view" not in {copy.change for copy in alter([own], tmp_path / "copies")}


def test_alter_makes_every_change_of_every_photo(tmp_path: Path, photos: list[Path]) -> None:
    copies = alter(photos, tmp_path / "copies")
    changes = [*demo_reshoot.CHANGES, "collage"]
    assert [(copy.original, copy.change) for copy in copies] == [
        (photo, change) for photo in photos for change in changes
    ]
    assert sorted(copy.path for copy in copies) == sorted((tmp_path / "copies").iterdir())
    assert copies[1] == Altered(tmp_path / "copies/photo0-off-a-wall.jpg", photos[0], "off a wall")
    for copy in copies:
        with Image.open(copy.path) as file:
            assert file.format == "JPEG"


def test_alter_depends_only_on_photos_and_seed(tmp_path: Path, photos: list[Path]) -> None:
    first = [copy.path.read_bytes() for copy in alter(photos, tmp_path / "a", seed=3)]
    assert [copy.path.read_bytes() for copy in alter(photos, tmp_path / "b", seed=3)] == first
    other = [copy.path.read_bytes() for copy in alter(photos, tmp_path / "c", seed=4)]
    same = sum(a == b for a, b in zip(first, other, strict=True))
    assert same == len(photos)  # "small and coarse" is not random


def test_a_copy_depends_only_on_its_own_photo(tmp_path: Path, photos: list[Path]) -> None:
    alone = alter(photos[:1], tmp_path / "alone")
    among = alter(photos[::-1], tmp_path / "among")
    assert "collage" not in {copy.change for copy in alone}
    contents = {copy.path.name: copy.path.read_bytes() for copy in among}
    assert all(contents[copy.path.name] == copy.path.read_bytes() for copy in alone)


def test_alter_writes_only_missing_files(tmp_path: Path, photos: list[Path]) -> None:
    copies = alter(photos, tmp_path / "copies")
    before = [copy.path.stat().st_mtime_ns for copy in copies]
    copies[2].path.unlink()
    again = alter(photos, tmp_path / "copies")
    after = [copy.path.stat().st_mtime_ns for copy in again]
    assert [i for i in range(len(copies)) if before[i] != after[i]] == [2]


def test_alter_names_photos_that_it_cannot_use(tmp_path: Path, photos: list[Path]) -> None:
    (tmp_path / "photo0.jpg").touch()
    with pytest.raises(ImageError, match="2 photos are called 'photo0'"):
        alter([*photos, tmp_path / "photo0.jpg"], tmp_path / "copies")
    (tmp_path / "text.jpg").write_text("no image", encoding="utf-8")
    with pytest.raises(ImageError, match=r"text\.jpg is not an image"):
        alter([tmp_path / "text.jpg"], tmp_path / "copies")


def test_alter_applies_the_exif_orientation(tmp_path: Path) -> None:
    sideways = tmp_path / "sideways.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(480, 320).save(sideways, exif=exif, quality=95)
    [small] = [c for c in alter([sideways], tmp_path / "c") if c.change == "small and coarse"]
    assert reopened(small.path).size == (160, 240)
    turned = scene(480, 320).transpose(Image.Transpose.ROTATE_270)
    assert likeness(reopened(small.path), turned) > 0.9


def shot(change: str, image: Image.Image, tmp_path: Path, seed: int = 0) -> Image.Image:
    path = tmp_path / f"{change}.jpg"
    path.write_bytes(demo_reshoot.CHANGES[change](image, np.random.default_rng(seed)))
    return reopened(path)


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_is_part_of_the_photo(tmp_path: Path, seed: int) -> None:
    whole = scene(60, 40)
    part = shot("cropped", whole, tmp_path, seed)
    assert part.width * part.height == pytest.approx(0.6 * 60 * 40, rel=0.05)
    assert best_place(part, whole)[0] > 0.98


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(480, 320), (320, 480), (600, 200)])
def test_the_print_on_the_wall_shows_the_whole_photo(
    tmp_path: Path, size: tuple[int, int], seed: int
) -> None:
    image = scene(*size)
    quads = []
    original = demo_reshoot._seen_from_the_side

    def watched(*arguments: object) -> np.ndarray:
        quads.append(original(*arguments))  # type: ignore[arg-type]
        return quads[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_reshoot, "_seen_from_the_side", watched)
        taken = shot("off a wall", image, tmp_path, seed)
    [quad] = quads
    quad = quad / 2  # drawn at twice the size
    assert quad.min() >= 0
    assert (quad.max(axis=0) <= taken.size).all()
    # Rectified by its four corners, it equals the photo within the border.
    rim = round(0.03 * max(size))
    width, height = size[0] + 2 * rim, size[1] + 2 * rim
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    forth = np.array([*homography(quad, corners), 1.0]).reshape(3, 3)
    back = np.linalg.inv(forth)
    flat = taken.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        tuple((back / back[2, 2]).ravel()[:8].tolist()),
        Image.Resampling.BILINEAR,
    )
    assert likeness(flat.crop((rim, rim, rim + size[0], rim + size[1])), image) > 0.95


def test_the_dark_copy_is_dim_yellow_and_noisy(tmp_path: Path) -> None:
    grey = Image.new("RGB", (120, 80), (128, 128, 128))
    pixels = np.asarray(shot("dark", grey, tmp_path), float)
    red, green, blue = pixels.mean(axis=(0, 1))
    assert red > green > blue
    assert 20 < green < 64
    assert pixels[..., 1].std() > 1
    assert likeness(shot("dark", scene(), tmp_path), scene()) > 0.8


def test_the_blurred_copy_has_no_sharp_edges(tmp_path: Path) -> None:
    sharp = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    )
    blurred = np.asarray(shot("blurred", sharp, tmp_path), float)
    steps = np.abs(np.diff(np.asarray(sharp, float), axis=1)).mean()
    assert np.abs(np.diff(blurred, axis=1)).mean() < steps / 10


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(480, 320), (320, 480), (90, 600)])
def test_the_screenshot_shows_the_whole_photo(
    tmp_path: Path, size: tuple[int, int], seed: int
) -> None:
    image = scene(*size)
    screen = shot("screenshot", image, tmp_path, seed)
    assert screen.size == (720, 1480)
    zoom = min(720 / size[0], 1060 / size[1])
    width, height = round(size[0] * zoom), round(size[1] * zoom)
    left, top = (720 - width) // 2, 210 + (1060 - height) // 2
    assert likeness(screen.crop((left, top, left + width, top + height)), image) > 0.98
    bars = [screen.crop((0, 0, 720, 200)), screen.crop((0, 1280, 720, 1480))]
    assert all(np.asarray(bar).std() > 5 for bar in bars)


def test_the_small_copy_has_half_the_size_and_low_quality(tmp_path: Path) -> None:
    small = shot("small and coarse", scene(481, 320), tmp_path)
    assert small.size == (240, 160)
    assert likeness(small, scene(481, 320)) > 0.95
    with Image.open(tmp_path / "small and coarse.jpg") as coarse:
        coarse_step = coarse.quantization[0][0]  # type: ignore[attr-defined]
    assert coarse_step >= 30  # quality 20 divides the mean by 40, quality 88 by 4


@pytest.mark.parametrize("seed", range(4))
def test_the_collage_shows_the_photo_large_and_three_others(tmp_path: Path, seed: int) -> None:
    image, others = scene(90, 90, 9), [scene(125, 100, i) for i in range(3)]
    path = tmp_path / "collage.jpg"
    path.write_bytes(demo_reshoot.collage(image, others, np.random.default_rng(seed)))
    page = reopened(path)
    gap, tall, wide = 14, 281, 351
    main_width = page.width - wide - 3 * gap
    for main_first in (True, False):
        left = gap if main_first else wide + 2 * gap
        column = main_width + 2 * gap if main_first else gap
        main = page.crop((left, gap, left + main_width, page.height - gap))
        rows = [gap + row * (tall + gap) for row in range(3)]
        column_parts = [page.crop((column, y, column + wide, y + tall)) for y in rows]
        if likeness(column_parts[0], others[0]) > 0.95:
            break
    assert [likeness(p, o) > 0.95 for p, o in zip(column_parts, others, strict=True)] == [True] * 3
    whole = image.resize((max(main.size), max(main.size)))
    x, y = (whole.width - main.width) // 2, (whole.height - main.height) // 2
    assert likeness(main, whole.crop((x, y, x + main.width, y + main.height))) > 0.95
    assert main.width * main.height > 2.5 * wide * tall


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (3, 2)])
@pytest.mark.parametrize("change", demo_reshoot.CHANGES)
def test_every_change_works_on_the_smallest_images(
    tmp_path: Path, change: str, size: tuple[int, int]
) -> None:
    assert min(shot(change, scene(*size), tmp_path).size) >= 1
