from __future__ import annotations

import io
import struct
import warnings
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import encode, pattern, sample
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from glocal.images import Facts, load
from glocal.images.xmp import read_xmp


def with_exif(
    format_name: str = "JPEG",
    *,
    make: object = None,
    model: object = None,
    taken: object = None,
    gps: dict | None = None,
) -> Facts:
    exif = Image.Exif()
    if make is not None:
        exif[0x010F] = make
    if model is not None:
        exif[0x0110] = model
    if taken is not None:
        exif.get_ifd(0x8769)[0x9003] = taken
    if gps is not None:
        exif.get_ifd(0x8825).update(gps)
    if format_name == "TIFF":  # Pillow writes sub-directories into TIFF from this class only
        main = ImageFileDirectory_v2()
        main[0x010F], main[0x0110] = make, model
        main[0x8769], main[0x8825] = {0x9003: taken}, gps
        return load(encode(pattern(), format_name, tiffinfo=main)).facts
    return load(encode(pattern(), format_name, exif=exif)).facts


GPS = {1: "N", 2: (48.0, 51.0, 30.0), 3: "W", 4: (2.0, 17.0, 40.2)}


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_facts_of_every_format_that_has_them(format_name: str) -> None:
    facts = with_exif(
        format_name, make="Glocal\x00", model="One  Two ", taken="2021:02:03 04:05:06", gps=GPS
    )
    assert facts.taken == datetime(2021, 2, 3, 4, 5, 6)
    assert facts.camera == "Glocal One Two"
    assert facts.latitude == pytest.approx(48 + 51 / 60 + 30 / 3600)
    assert facts.longitude == pytest.approx(-(2 + 17 / 60 + 40.2 / 3600))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "HEIF"])
def test_no_exif_no_facts(format_name: str) -> None:
    facts = load(sample(format_name)).facts
    assert (facts.taken, facts.camera, facts.latitude, facts.longitude) == (None,) * 4


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("NIKON CORPORATION", "NIKON D850", "NIKON D850"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("", "X", "X"),
        ("Maker", None, "Maker"),
        (" ", "\x00", None),
        ("\x1b[31mRed\x07", "Tele\nPhone", "[31mRed Tele Phone"),
        ("M" * 500, "n" * 5000, "M" * 100),
    ],
)
def test_camera(make: str, model: str | None, camera: str | None) -> None:
    assert with_exif(make=make, model=model).camera == camera


@pytest.mark.parametrize(
    ("taken", "moment"),
    [
        ("2024:12:31 23:59:59", datetime(2024, 12, 31, 23, 59, 59)),
        ("2024:12:31 23:59:59.123", datetime(2024, 12, 31, 23, 59, 59)),
        ("2024-12-31 23:59:58", datetime(2024, 12, 31, 23, 59, 58)),
        ("2024/12/31 23.59.58", datetime(2024, 12, 31, 23, 59, 58)),
        ("2024-12-31T23:59:58+02:00", datetime(2024, 12, 31, 23, 59, 58)),
        ("2024:12:31T23:59", datetime(2024, 12, 31, 23, 59)),
        ("2024:12:31 23:59", datetime(2024, 12, 31, 23, 59)),
        ("2024: 2: 3  4: 5: 6", datetime(2024, 2, 3, 4, 5, 6)),
        ("2024:12:31", datetime(2024, 12, 31)),
        ("20241231 235958", datetime(2024, 12, 31, 23, 59, 58)),
        ("2024:12:31 24:00:00", datetime(2025, 1, 1)),
        ("2016:12:31 23:59:60", datetime(2016, 12, 31, 23, 59, 59)),
        ("2024:12:31 24:00:01", None),
        ("9999:12:31 24:00:00", None),
        ("0000:00:00 00:00:00", None),
        ("2024:02:30 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("yesterday", None),
        ("٢٠٢٤:12:31 23:59:59", None),
        ("", None),
    ],
)
def test_taken(taken: str, moment: datetime | None) -> None:
    assert with_exif(taken=taken).taken == moment


@pytest.mark.parametrize(
    "change",
    [
        {2: (IFDRational(1, 0), 0.0, 0.0)},
        {2: (IFDRational(0, 0), 0.0, 0.0)},
        {2: (91.0, 0.0, 0.0)},
        {2: (90.0, 1.0, 0.0)},
        {4: (180.0, 0.0, 1.0)},
        {1: "Q"},
        {3: "N"},
        {2: 48.0},
        {4: (1.0, 2.0, 3.0, 4.0)},
    ],
)
def test_impossible_place_is_none(change: dict) -> None:
    facts = with_exif(gps=GPS | change)
    assert (facts.latitude, facts.longitude) == (None, None)


def test_half_a_place_is_none_and_the_edge_of_the_world_is_not() -> None:
    assert with_exif(gps={1: "N", 2: (1.0, 2.0, 3.0)}).latitude is None
    facts = with_exif(gps={1: "S", 2: (90.0, 0.0, 0.0), 3: "E", 4: (180.0, 0.0, 0.0)})
    assert (facts.latitude, facts.longitude) == (-90.0, 180.0)


def jpeg_with(exif_block: bytes) -> bytes:
    data = sample("JPEG")
    payload = b"Exif\x00\x00" + exif_block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\x00\x08\x00\x00\x00"
        + struct.pack("<H", len(entries))
        + body
        + struct.pack("<I", following)
    )


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"MM\x00*\xff\xff\xff\xff",
        b"garbage that is no directory at all",
        directory((0x010F, 2, 2**32 - 1, 8), (0x0112, 3, 2**31, 0)),
        directory((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), following=8),
        directory((0x8769, 4, 1, 2**32 - 1), (0x8825, 2, 4, 0)),
        directory((0x0112, 3, 1, 60000), (0x0110, 2, 4, 0xFFFFFFFF)),
        directory((0x0112, 5, 1, 0), (0x0112, 12, 1, 2), (0x010F, 7, 3, 0xFFFEFD)),
        directory(*[(tag, 7, 4000, 8) for tag in range(1, 300)]),
        b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\x0f\x01\x02\x00" * 100,
    ],
)
def test_hostile_exif_never_fails_the_image(block: bytes) -> None:
    image = load(jpeg_with(block))
    assert image.array.shape == (96, 128, 3)
    assert image.facts.taken is None
    assert image.facts.latitude is None
    camera = image.facts.camera
    assert camera is None or camera.isprintable()


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=150)
def test_any_exif_block_gives_an_image(block: bytes) -> None:
    assert load(jpeg_with(b"II*\x00\x08\x00\x00\x00" + block)).array.size == 96 * 128 * 3


def test_decoders_warn_nobody_of_a_strange_file_but_their_users_own_calls_do() -> None:
    strange = jpeg_with(directory((0x010F, 2, 2**32 - 1, 8)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(strange)
        assert caught == []
        Image.open(io.BytesIO(strange)).getexif()
        assert caught != []


def test_other_fields_say_when_where_the_first_does_not() -> None:
    fields = [
        (0x8769, {0x9003: "2001:01:01 01:01:01"}, datetime(2001, 1, 1, 1, 1, 1)),
        (0x8769, {0x9004: "2002:01:01 01:01:01"}, datetime(2002, 1, 1, 1, 1, 1)),
        (0x8825, {29: "2003:01:01", 7: (23.0, 30.0, 5.0)}, datetime(2003, 1, 2, 1, 30, 5)),
        (None, {0x0132: "2004:01:01 01:01:01"}, datetime(2004, 1, 1, 1, 1, 1)),
    ]
    for first in range(len(fields)):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9011] = "+02:00"  # the satellites' time is UTC
        exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
        for directory_of, values, _ in fields[first:]:
            (exif if directory_of is None else exif.get_ifd(directory_of)).update(values)
        assert load(encode(pattern(), "JPEG", exif=exif)).facts.taken == fields[first][2]


@pytest.mark.parametrize(
    ("change", "latitude"),
    [
        ({2: (48.0, 51.5, IFDRational(0, 0))}, 48 + 51.5 / 60),
        ({2: (48.0, 51.5)}, 48 + 51.5 / 60),
        ({1: ""}, 48 + 51 / 60 + 30 / 3600),
        ({1: "South"}, -(48 + 51 / 60 + 30 / 3600)),
    ],
)
def test_places_as_programs_write_them(change: dict, latitude: float) -> None:
    assert with_exif(gps=GPS | change).latitude == pytest.approx(latitude)


def test_a_missing_letter_means_north_and_east_and_zero_is_no_place() -> None:
    assert with_exif(gps={2: (1.0, 2.0, 3.0), 4: (4.0, 5.0, 6.0)}).longitude == pytest.approx(
        4 + 5 / 60 + 6 / 3600
    )
    zero = (0.0, 0.0, 0.0)
    assert with_exif(gps={1: "N", 2: zero, 3: "E", 4: zero}).latitude is None


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {attributes}>{elements}
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    "packet",
    [
        XMP.format(
            attributes='exif:DateTimeOriginal="2019-05-03T10:30:00+02:00" '
            'exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,17.67W"',
            elements="",
        ),
        XMP.format(
            attributes="",
            elements="<xmp:CreateDate>2019-05-03T10:30:00</xmp:CreateDate>"
            "<exif:GPSLatitude>48,51,30N</exif:GPSLatitude>"
            "<exif:GPSLongitude>-2.2945</exif:GPSLongitude>",
        ),
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_says_what_exif_does_not(format_name: str, packet: str) -> None:
    image = Image.fromarray(pattern())
    options: dict = {"xmp": packet.encode()}
    if format_name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet)
        options = {"pnginfo": info}
    elif format_name == "TIFF":
        options = {"tiffinfo": {700: packet.encode()}}
    facts = load(encode(image, format_name, **options)).facts
    assert facts.taken == datetime(2019, 5, 3, 10, 30)
    assert facts.latitude == pytest.approx(48 + 51.5 / 60)
    assert facts.longitude == pytest.approx(-2.2945, abs=1e-3)
    if format_name in ("JPEG", "WEBP"):  # EXIF comes first
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = "2001:01:01 01:01:01"
        facts = load(encode(image, format_name, exif=exif, **options)).facts
        assert facts.taken == datetime(2001, 1, 1, 1, 1, 1)


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_xmp_says_something_or_nothing(data: str | bytes) -> None:
    said = read_xmp(data)
    assert (said.latitude is None) == (said.longitude is None)
