from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from glocal.images.captions import MOST_CHARACTERS, read_caption


def encoded(kind: str = "JPEG", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, **more)
    return file.getvalue()


def exif(tag: int, value: Any, *, ifd: int | None = None) -> bytes:
    made = Image.Exif()
    (made if ifd is None else made.get_ifd(ifd))[tag] = value
    return made.tobytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded(exif=exif(0x010E, "Grüße aus Köln".encode())), "Grüße aus Köln"),
        (encoded(exif=exif(0x9C9B, "Ein Titel\0".encode("utf-16-le"))), "Ein Titel"),
        (encoded(exif=exif(0x9286, b"ASCII\0\0\0by the sea", ifd=0x8769)), "by the sea"),
        (
            encoded(exif=exif(0x9286, b"UNICODE\0" + "am Meer".encode("utf-16-be"), ifd=0x8769)),
            "am Meer",
        ),
        (encoded(exif=exif(0x010E, "OLYMPUS DIGITAL CAMERA         ")), ""),
        (encoded(), ""),
        (b"no image", ""),
    ],
)
def test_captions_of_exif(data: bytes, said: str) -> None:
    assert read_caption(data) == said


def test_captions_of_iptc_xmp_and_png() -> None:
    records = b"".join(
        bytes((0x1C, *key)) + len(text).to_bytes(2, "big") + text
        for key, text in [
            ((2, 5), b"Name"),
            ((2, 25), b"key"),
            ((2, 25), b"word"),
            ((2, 120), b"Said"),
        ]
    )
    block = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records
    block += b"\0" * (len(block) % 2)
    segment = b"Photoshop 3.0\0" + block
    plain = encoded()
    data = plain[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]
    assert read_caption(data) == "Name\nSaid\nkey\nword"
    packet = (
        b"<x><dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Sea &amp; sun</rdf:li></rdf:Alt>"
        b"</dc:title><dc:subject><rdf:Bag><rdf:li>Meer</rdf:li><rdf:li>Abend</rdf:li></rdf:Bag>"
        b"</dc:subject></x>"
    )
    assert read_caption(encoded(xmp=packet)) == "Sea & sun\nMeer\nAbend"
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "On PNG")
    assert read_caption(encoded("PNG", pnginfo=info)) == "On PNG"


def test_a_sidecar_says_more(tmp_path: Path) -> None:
    packet = "<dc:description><rdf:li>Beside</rdf:li></dc:description>"
    (tmp_path / "a.jpg.xmp").write_text(packet)
    assert read_caption(encoded(), tmp_path / "a.jpg") == "Beside"


def test_what_is_damaged_or_huge_neither_stops_nor_fills_anything() -> None:
    whole = encoded(exif=exif(0x010E, "word " * 10_000))
    assert len(read_caption(whole)) <= MOST_CHARACTERS
    rng = random.Random(0)
    for _ in range(40):
        data = bytearray(whole[:3000])
        for _ in range(5):
            data[rng.randrange(len(data))] = rng.randrange(256)
        read_caption(bytes(data[: rng.randrange(20, len(data))]))
    read_caption(encoded(xmp=b"<dc:title>" * 4000))
