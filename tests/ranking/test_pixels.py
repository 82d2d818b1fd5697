"""Two images compared in colour, everywhere: what is a copy, and what differs where."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from glocal.ranking.differences import other_hue
from glocal.ranking.pixels import Comparison, compare_pixels, has_colour

SAME = np.eye(3)


def scene(seed: int, width: int = 640, height: int = 480) -> Image.Image:
    """Colourful blobs of all sizes, as smooth and as detailed as a photo."""
    rng = np.random.default_rng(seed)
    mixed = np.full((height, width, 3), 120.0, np.float32)
    for cells, strength in ((3, 60), (8, 40), (20, 25), (60, 15), (160, 8)):
        layer = rng.normal(0, strength, (cells, cells, 3)).clip(-127, 127) + 128
        small = Image.fromarray(layer.astype(np.uint8))
        mixed += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) - 128.0
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, quality: int = 85, kind: str = "JPEG") -> np.ndarray:
    written = io.BytesIO()
    image.save(written, kind, quality=quality)
    with Image.open(written) as opened:
        return np.asarray(opened.convert("RGB"))


def compared(one: Image.Image, other: Image.Image, homography: np.ndarray = SAME) -> Comparison:
    found = compare_pixels(saved(one, 92), saved(other, 80), homography)
    assert found is not None
    return found


def shrunk(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS)


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again": lambda image: image,
    "made smaller": shrunk,
    "brighter": lambda image: image.point(lambda v: min(255, 1.25 * v + 10)),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "paler": lambda image: ImageEnhance.Color(image).enhance(0.5),
    "warmer": lambda image: Image.merge(
        "RGB",
        [
            band.point(lambda v, g=g: v * g)
            for band, g in zip(image.split(), (1, 0.95, 0.8), strict=True)
        ],
    ),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.2)),
    "sharpened": lambda image: image.filter(ImageFilter.UnsharpMask(2, 80, 2)),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("edit", EDITS)
def test_edits_of_all_pixels_are_copies(edit: str, seed: int) -> None:
    found = compared(scene(seed), EDITS[edit](scene(seed)))
    assert found.copied
    assert not found.differing
    assert found.second_grey == (edit == "grey")
    assert (found.change > 6) == (edit in ("brighter", "more contrast", "paler", "warmer"))


def test_a_crop_shows_a_part_and_its_place_is_found_exactly() -> None:
    whole = scene(3)
    crop = whole.crop((100, 60, 500, 400))
    rough = np.array([[0.63, 0, 0.15], [0, 0.70, 0.13], [0, 0, 1]])
    found = compared(crop, whole, rough)
    assert found.copied
    assert found.first_shown == 1
    assert found.second_shown == pytest.approx(400 * 340 / 640 / 480, abs=0.02)
    exact = np.array([[400 / 640, 0, 100 / 640], [0, 340 / 480, 60 / 480], [0, 0, 1]])
    assert found.homography == pytest.approx(exact, abs=1e-3)
    back = found.turned()
    assert (back.first_shown, back.second_shown) == (found.second_shown, found.first_shown)
    there = back.homography @ found.homography
    assert there / there[2, 2] == pytest.approx(SAME, abs=1e-6)


def test_views_of_which_neither_is_shown_whole_are_no_copies() -> None:
    whole = scene(3)
    left, right = whole.crop((0, 0, 440, 480)), whole.crop((200, 0, 640, 480))
    moved = np.array([[1, 0, -200 / 440], [0, 1, 0], [0, 0, 1]])
    found = compared(left, right, moved)
    assert found.share == 0  # they agree in all that both show
    assert found.first_shown == found.second_shown == pytest.approx(240 / 440, abs=0.02)
    assert not found.copied


def test_a_border_is_plain_and_a_neighbour_is_not() -> None:
    image = scene(4)
    bordered = ImageOps.expand(image, 60, "white")
    into = np.array([[640 / 760, 0, 60 / 760], [0, 480 / 600, 60 / 600], [0, 0, 1]])
    found = compared(image, bordered, into)
    assert (found.copied, found.second_rest_flat) == (True, True)
    page = Image.new("RGB", (1280, 480))
    page.paste(image, (0, 0))
    page.paste(scene(5), (640, 0))
    found = compared(image, page, np.diag([0.5, 1, 1]))
    assert (found.copied, found.second_rest_flat) == (True, False)


def test_a_mirrored_copy_is_one() -> None:
    image = scene(6)
    found = compared(image, ImageOps.mirror(image), np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]))
    assert (found.copied, found.mirrored) == (True, True)


# What is no copy, and where it is not


def form(lines: tuple[str, ...]) -> Image.Image:
    """A printed form of five fields, filled in."""
    page = Image.new("RGB", (620, 877), (250, 250, 246))
    draw = ImageDraw.Draw(page)
    for number in range(16):
        y = 60 + 48 * number
        draw.text((50, y), f"Field {number} of the form", "black", ImageFont.load_default(16))
        draw.line((260, y + 22, 570, y + 22), "black", 1)
    for number, line in enumerate(lines):
        y = 60 + 48 * (3 * number + 1)
        draw.text((270, y), line, (20, 30, 120), ImageFont.load_default(19))
    return page


def test_a_form_filled_in_by_another_is_no_copy() -> None:
    anna, bert = form(("Anna", "12 May", "17.50")), form(("Bert", "13 May", "17.80"))
    found = compared(anna, bert)
    assert not found.copied
    rows = {int(((y + height / 2) * 877 - 60) / 48) for _, y, _, height in found.differing}
    assert rows == {1, 4, 7}
    assert compared(anna, form(())).copied is False  # nor is the empty one
    assert compared(anna, anna.resize((500, 707), Image.Resampling.LANCZOS)).copied


@pytest.mark.parametrize("quality", [90, 40])
def test_one_other_digit_is_a_difference(quality: int) -> None:
    one, two = form(("Anna", "12 May", "4713")), form(("Anna", "12 May", "4718"))
    found = compare_pixels(saved(one), saved(two, quality), SAME)
    assert found is not None
    assert not found.copied
    ((x, y, width, height),) = found.differing
    assert 270 / 620 < x + width / 2 < 340 / 620
    assert y * 877 < 60 + 48 * 7 + 12 < (y + height) * 877


def stamped(date: str, seed: int) -> Image.Image:
    """A photo with orange figures on a meadow as light as they are."""
    image = scene(seed)
    ink = ImageDraw.Draw(image)
    ink.rectangle((440, 380, 639, 479), fill=(80, 220, 100))
    ink.text((500, 420), date, fill=(250, 150, 30), font=ImageFont.load_default(22))
    return image


@pytest.mark.parametrize("seed", range(3))
def test_another_date_as_light_as_its_ground_is_a_difference(seed: int) -> None:
    one, two = (stamped(f"12 0{day} '98", seed) for day in (3, 5))
    assert compared(one, one).copied
    found = compared(one, two)
    assert not found.copied
    ((x, y, width, height),) = found.differing
    assert 500 <= (x + width / 2) * 640 <= 600
    assert 412 <= (y + height / 2) * 480 <= 452


def captioned(image: Image.Image, text: str) -> Image.Image:
    image = image.copy()
    font = ImageFont.load_default(60)
    at = (image.width // 2, 20)
    style = {"anchor": "ma", "stroke_width": 4, "stroke_fill": "black"}
    ImageDraw.Draw(image).text(at, text, "white", font, **style)  # type: ignore[arg-type]
    return image


def test_a_caption_is_laid_over_and_two_captions_are_two_images() -> None:
    bare = scene(7)
    one, two = captioned(bare, "ON MONDAY"), captioned(bare, "THE BOSS")
    found = compared(one, bare)
    assert (found.copied, found.overlaid) == (True, "first")
    assert found.differing
    assert found.turned().overlaid == "second"
    assert not compared(one, two).copied


def labelled(label: Image.Image) -> Image.Image:
    """One bottle before one wall; only its label is another one."""
    image = scene(3)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((220, 40, 420, 470), 40, (20, 90, 40))
    image.paste(label.resize((190, 160)), (225, 220))
    return image


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_the_label_of_another_bottle_is_no_sticker_on_a_copy(seed: int) -> None:
    plain = Image.new("RGB", (190, 160), (250, 235, 120))
    ImageDraw.Draw(plain).text((95, 80), "TAL", (90, 20, 60), ImageFont.load_default(60), "mm")
    detailed = scene(seed)
    assert not compared(labelled(plain), labelled(detailed)).copied
    assert not compared(labelled(detailed), labelled(plain)).copied


def test_a_sticker_on_a_copy_is_laid_over() -> None:
    stuck = scene(7)
    ImageDraw.Draw(stuck).ellipse((200, 150, 330, 280), (230, 0, 90))
    assert compared(stuck, scene(7)).overlaid == "first"


def with_person(image: Image.Image, seed: int, x: int) -> Image.Image:
    """Somebody of a tenth of the width, in clothes of some texture."""
    image = image.copy()
    clothes = scene(seed).resize((64, 150)).point(lambda v: 0.6 * v)
    image.paste(clothes, (x, 250), Image.new("L", (64, 150), 255))
    return image


def test_somebody_before_one_background_is_a_difference() -> None:
    room = scene(8)
    somebody, somebody_else = with_person(room, 20, 100), with_person(room, 21, 400)
    for one, other in ((room, somebody), (somebody, somebody_else)):
        assert not compared(one, other).copied
    ((x, y, width, height),) = compared(room, somebody).differing
    box = np.array([x, y, x + width, y + height]) * (640, 480, 640, 480)
    assert box == pytest.approx(np.array([100, 250, 164, 400]), abs=12)


@pytest.mark.parametrize("colours", [("orange", "green"), ("green", "blue"), ("white", "black")])
def test_a_product_of_another_colour_is_another_product(colours: tuple[str, str]) -> None:
    shade = np.asarray(scene(9).convert("L"), np.float32)[..., None] / 255
    pair = []
    for colour in colours:
        page = Image.new("RGB", (640, 480), (245, 245, 245))
        pixels = 0.4 + 0.6 * shade * (np.array(ImageColor.getrgb(colour)) + 20.0)
        product = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        mask = Image.new("L", (640, 480))
        ImageDraw.Draw(mask).ellipse((150, 60, 490, 420), 255)
        page.paste(product, mask=mask)
        pair.append(page)
    assert not compared(*pair).copied


def product(hue: tuple[int, int, int], gains: tuple[float, ...] = (1, 1, 1)) -> Image.Image:
    """A textured product before a light background, as a shop shows it."""
    shade = np.asarray(scene(8).convert("L"), np.float32)[..., None] / 255
    pixels = np.full((480, 640, 3), 220, np.float32)
    pixels[80:400, 120:520] = ((0.45 + 0.7 * shade) * hue)[80:400, 120:520]
    return Image.fromarray((pixels * gains).clip(0, 255).astype(np.uint8))


def test_curves_that_make_a_red_product_orange_are_no_edit() -> None:
    red, orange = (200, 30, 40), (230, 120, 20)
    found = compared(product(red), product(orange))
    assert not found.copied
    assert found.share > 0.2


@pytest.mark.parametrize("gains", [(0.85, 0.98, 1.1), (1.1, 1.0, 0.82), (1.2, 1.2, 1.2)])
def test_vivid_colours_turn_with_the_tint_that_neutral_ones_show(gains: tuple[float, ...]) -> None:
    rng = np.random.default_rng(4)
    colours = rng.uniform(10, 200, (30, 40, 3)).astype(np.float32)
    colours[:8] = rng.uniform(80, 200, (8, 40, 1))
    tinted = np.minimum(colours * np.array(gains, np.float32), 255)
    assert not other_hue(colours, tinted).any()
    for image in colours, tinted:
        image[10:20, 10:20] = (200, 30, 40)
    colours[10:20, 10:20] = (230, 120, 20)
    assert other_hue(colours, tinted)[11:19, 11:19].all()
    assert other_hue(colours, tinted).sum() <= 100


def test_another_viewpoint_is_no_copy() -> None:
    """A nearer thing moves against what is behind it, by three pixels of 640."""
    views = []
    for aside in (0, 3):
        view = scene(10)
        mask = Image.new("L", view.size)
        ImageDraw.Draw(mask).ellipse((150, 100, 450, 400), 255)
        near = Image.new("RGB", view.size)
        near.paste(scene(11), (aside, 0))
        views.append(view)
        view.paste(near, mask=mask)
    assert not compared(*views).copied


def test_images_that_share_nothing_are_not_compared() -> None:
    images = saved(scene(0)), saved(scene(1))
    assert compare_pixels(*images, np.array([[1.0, 0, 3], [0, 1, 0], [0, 0, 1]])) is None
    assert compare_pixels(*images, np.zeros((3, 3))) is None
    unlike = compare_pixels(*images, SAME)
    assert unlike is None or not unlike.copied


def test_shades_of_one_colour_are_no_colours() -> None:
    image = scene(2)
    assert has_colour(np.asarray(image))
    grey = image.convert("L")
    assert not has_colour(np.asarray(grey.convert("RGB")))
    assert not has_colour(np.asarray(ImageOps.colorize(grey, "#201008", "#fff0d8")))
