"""Different things in the same surroundings: paintings in one frame, labels on one bottle.

A search for one of them must not say that it found another one. Each kind draws a content (any
image) into surroundings that a generator's state decides, so that the same state gives the same
surroundings; `photographed` then gives each image a view, a light and noise of its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from glocal.cli.demo_reshoot import _wall
from glocal.images.perspective import homography

Rng = np.random.Generator
Kind = Callable[[Image.Image, Rng, Rng], Image.Image]
"""Takes a content, the surroundings' generator and one of the content's own."""

_SYLLABLES = ["ba", "ko", "ri", "men", "tal", "no", "vu", "shi"]
_SYLLABLES += ["del", "ar", "po", "li", "gra", "sen", "tu", "wo"]


def word(rng: Rng) -> str:
    return "".join(_SYLLABLES[int(i)] for i in rng.integers(0, 16, rng.integers(1, 4)))


def words(rng: Rng, count: int) -> str:
    return " ".join(word(rng) for _ in range(count))


def ink(rng: Rng, low: int = 20, high: int = 235) -> tuple[int, int, int]:
    a, b, c = (int(v) for v in rng.integers(low, high, 3))
    return a, b, c


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def framed(content: Image.Image, shared: Rng, _own: Rng) -> Image.Image:
    """A painting in a carved frame on a wall."""
    size = (760, 600) if shared.integers(2) else (600, 760)
    rim = int(shared.integers(50, 110))
    tint = np.array(ink(shared, 70, 190))
    pitch, phase = shared.uniform(14, 40, 2), shared.uniform(0, 6, 2)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    edge = np.minimum.reduce([x, y, size[0] - 1 - x, size[1] - 1 - y])
    along = np.where(np.minimum(x, size[0] - 1 - x) == edge, y, x)
    bold = shared.uniform(0.8, 3.0)
    relief = np.sin(edge / rim * 9 + phase[0]) * 30
    relief += bold * 40 * np.sin(along / pitch[0] * 6 + phase[1]) * np.cos(edge / pitch[1] * 6)
    relief += _noise(shared, size, 40) * 18
    pixels = tint + relief[..., None]
    frame = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    inner = (size[0] - 2 * rim, size[1] - 2 * rim)
    frame.paste(ImageOps.fit(content, inner), (rim, rim))
    wall = _wall((960, 960), shared)
    at = (960 - size[0]) // 2, (900 - size[1]) // 2
    wall.paste((60, 55, 50), (at[0] + 8, at[1] + 10, at[0] + size[0] + 8, at[1] + size[1] + 10))
    wall = wall.filter(ImageFilter.GaussianBlur(3))
    wall.paste(frame, at)
    return wall


def mounted(content: Image.Image, shared: Rng, own: Rng) -> Image.Image:
    """A print in a white mount and a thin frame, with a title below, on a patterned wall."""
    wall = _pattern(shared, (900, 1000))
    draw = ImageDraw.Draw(wall)
    left, top, right, bottom = 110, 80, 790, 880
    draw.rectangle((left, top, right, bottom), ink(shared, 10, 120))
    thin = int(shared.integers(8, 20))
    draw.rectangle((left + thin, top + thin, right - thin, bottom - thin), (244, 242, 236))
    wide, tall = int(shared.integers(380, 520)), int(shared.integers(420, 560))
    wall.paste(ImageOps.fit(content, (wide, tall)), (450 - wide // 2, 160))
    draw.text((450, 780), words(own, 2).title(), (50, 50, 50), font(26), "mm")
    draw.text((450, 830), words(shared, 2).upper(), (120, 30, 30), font(18), "mm")
    return wall


def bottle(content: Image.Image, shared: Rng, own: Rng) -> Image.Image:
    """A bottle with a label, before shelves."""
    image = _pattern(shared, (700, 1000)).filter(ImageFilter.GaussianBlur(2))
    glass = ink(shared, 10, 130)
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((190, 330, 510, 960), 50, 255)
    draw.polygon([(190, 380), (300, 240), (300, 60), (400, 60), (400, 240), (510, 380)], 255)
    shade = np.abs(np.linspace(-1, 1, 320))[None, :, None] ** 2
    body = np.broadcast_to(np.array(glass) * (1 - 0.6 * shade), (1000, 320, 3)).copy()
    body[:, 60:80] += 70
    whole = np.zeros((1000, 700, 3))
    whole[:, 190:510] = body
    image.paste(Image.fromarray(whole.clip(0, 255).astype(np.uint8)), mask=mask)
    draw = ImageDraw.Draw(image)
    cap = ink(shared)
    draw.rounded_rectangle((290, 40, 410, 120), 8, cap)
    for x in range(296, 410, 9):
        draw.line((x, 50, x, 112), tuple(v // 2 for v in cap), 3)
    label = Image.new("RGB", (316, 380), ink(own, 150, 250))
    label.paste(ImageOps.fit(content, (280, 200)), (18, 110))
    pen = ImageDraw.Draw(label)
    pen.text((158, 55), word(own).upper(), ink(own, 0, 110), font(60), "mm")
    pen.text((158, 345), words(own, 3), (30, 30, 30), font(24), "mm")
    image.paste(label, (192, 480))
    return image


def page(content: Image.Image, shared: Rng, own: Rng) -> Image.Image:
    """A page under the same letterhead, within the same border."""
    sheet = Image.new("RGB", (800, 1100), (250, 249, 245))
    draw = ImageDraw.Draw(sheet)
    tint = ink(shared, 20, 160)
    draw.rectangle((20, 20, 780, 1080), outline=tint, width=int(shared.integers(3, 14)))
    for _ in range(4):
        x, y = (int(v) for v in shared.integers(50, 120, 2))
        draw.ellipse((x, y, x + 50, y + 50), outline=ink(shared, 0, 200), width=9)
    draw.text((220, 60), words(shared, 2).title(), tint, font(52))
    draw.text((220, 130), words(shared, 7), "black", font(20))
    draw.line((50, 190, 750, 190), tint, 4)
    draw.text((60, 1040), words(shared, 9), (90, 90, 90), font(18))
    y = 220
    while y < 1000:
        if own.integers(6) == 0 and y < 720:
            wide = int(own.integers(200, 480))
            sheet.paste(ImageOps.fit(content, (wide, 260)), (60, y))
            y += 280
        draw.text((60, y), words(own, int(own.integers(6, 12))), "black", font(22))
        y += 32
    return sheet


def screen(content: Image.Image, shared: Rng, own: Rng) -> Image.Image:
    """A telephone's screen: one program's bars and buttons around different content."""
    shot = Image.new("RGB", (620, 1240), ink(shared, 225, 255))
    draw = ImageDraw.Draw(shot)
    tint = ink(shared, 20, 200)
    draw.rectangle((0, 0, 620, 130), tint)
    draw.text((24, 14), f"{own.integers(24)}:{own.integers(60):02d}", "white", font(26))
    draw.rectangle((540, 16, 590, 38), outline="white", width=3)
    draw.text((30, 74), words(shared, 2).title(), "white", font(38))
    for place in range(3):
        draw.ellipse((430 + 58 * place, 72, 474 + 58 * place, 116), outline="white", width=5)
    y = 150
    for _ in range(2):
        draw.ellipse((24, y, 84, y + 60), ink(own))
        draw.text((104, y + 8), words(own, 2).title(), "black", font(26))
        part = int(own.integers(300, 380))
        centre = (own.uniform(), own.uniform())
        shot.paste(ImageOps.fit(content, (620, part), centering=centre), (0, y + 76))
        draw.text((24, y + 90 + part), words(own, 6), (40, 40, 40), font(22))
        y += part + 150
    draw.rectangle((0, 1120, 620, 1240), "white")
    for place in range(5):
        x = 40 + place * 120
        box = (x, 1140, x + 50, 1190)
        [draw.rectangle, draw.ellipse][int(shared.integers(2))](box, outline=tint, width=6)
        draw.text((x + 25, 1212), word(shared), tint, font(18), "mm")
    return shot


def cover(content: Image.Image, shared: Rng, own: Rng) -> Image.Image:
    """A book of a series: the same bands, emblem and type, another image and title."""
    book = Image.new("RGB", (640, 940), ink(shared, 120, 250))
    draw = ImageDraw.Draw(book)
    tint, dark = ink(shared, 20, 180), ink(shared, 0, 90)
    draw.rectangle((0, 0, 640, 90), tint)
    draw.text((320, 45), words(shared, 3).upper(), "white", font(38), "mm")
    draw.rectangle((0, 850, 640, 940), dark)
    for ring in range(3):
        draw.ellipse(
            (40 + 9 * ring, 862 + 9 * ring, 106 - 9 * ring, 928 - 9 * ring),
            outline=ink(shared, 120, 255),
            width=4,
        )
    draw.text((380, 895), words(shared, 2).title(), "white", font(36), "mm")
    top = int(shared.integers(120, 220))
    book.paste(ImageOps.fit(content, (560, 480)), (40, top))
    draw.text((320, top + 530), words(own, 2).title(), dark, font(48), "mm")
    draw.text((320, top + 590), words(own, 2).title(), dark, font(30), "mm")
    return book


KINDS: dict[str, Kind] = {
    "framed": framed,
    "mounted": mounted,
    "bottle": bottle,
    "page": page,
    "screen": screen,
    "cover": cover,
}


def photographed(image: Image.Image, rng: Rng, *, far: bool) -> bytes:
    """A JPEG of an image from a view of its own.

    Args:
        image: of a flat thing.
        rng: decides view, light and noise.
        far: whether the camera moves much; otherwise it hardly moves.
    """
    image = image.convert("RGB")
    width, height = image.size
    reach = 0.12 if far else 0.03
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    seen = (corners + rng.uniform(-reach, reach, (4, 2))) * (width, height)
    back = homography(seen, corners * (width, height))
    pixels = np.asarray(image)
    fill = tuple(int(v) for v in pixels[:4].reshape(-1, 3).mean(axis=0))
    moved = image.transform((width, height), Image.Transform.PERSPECTIVE, back, 3, fillcolor=fill)
    light = rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3)
    begin, end = rng.uniform(0.85, 1.1, 2)
    slope = np.linspace(begin, end, width)[None, :, None]
    values = np.asarray(moved, np.float32) * light * slope + rng.normal(0, 4, (height, width, 3))
    shown = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    shown.save(file, "JPEG", quality=int(rng.integers(70, 93)))
    return file.getvalue()


def _noise(rng: Rng, size: tuple[int, int], cells: int) -> np.ndarray:
    layer = (rng.normal(128, 50, (cells, cells)).clip(0, 255)).astype(np.uint8)
    grown = np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC), np.float32)
    return (grown - 128) / 50


def _pattern(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """Wallpaper or shelves: a background with something on it."""
    base = np.array(ink(rng, 90, 220), np.float32)
    pixels = np.broadcast_to(base, (size[1], size[0], 3)).copy()
    pixels += _noise(rng, size, int(rng.integers(6, 60)))[..., None] * rng.uniform(8, 30)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if rng.integers(2):
        for y in range(int(rng.integers(60, 160)), size[1], int(rng.integers(150, 260))):
            draw.rectangle((0, y, size[0], y + 14), tuple(int(v * 0.5) for v in base))
    return image
