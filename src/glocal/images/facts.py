"""Read the facts that an image's file states: size, time, camera, place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from glocal.images.moments import exif_moment
from glocal.images.positions import exif_place
from glocal.images.xmp import read_xmp

if TYPE_CHECKING:
    from PIL import Image

_MAKE, _MODEL, _EXIF_IFD, _GPS_IFD = 0x010F, 0x0110, 0x8769, 0x8825
_XMP = 0x02BC
_CAMERA_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an image besides its pixels.

    Attributes:
        width, height: Full size of the upright image in pixels, even if fewer were decoded.
        format: "JPEG", "PNG", "HEIF", ...; "array" for NumPy arrays, "image" for a PIL image that
            was not read from a file.
        bytes: Encoded size; None for arrays and PIL images.
        taken: The camera's local time without a zone, by the first of these that says it: EXIF's
            ``DateTimeOriginal`` and ``DateTimeDigitized``, XMP, the satellites', ``DateTime``.
        camera: Maker and model, at most 100 characters, with the maker named once.
        latitude, longitude: Degrees in WGS84; both or neither are given.
    """

    width: int
    height: int
    format: str
    bytes: int | None
    taken: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def read_facts(
    image: Image.Image, width: int, height: int, format_name: str, size: int | None
) -> Facts:
    """Gather the facts of an opened image; EXIF values that cannot be interpreted become None.

    Args:
        image: opened, with its header read.
        width, height: the upright size.
        format_name: as :attr:`Facts.format` has it.
        size: encoded bytes, None where there are none.
    """
    try:
        exif = image.getexif()
        main: dict[int, Any] = dict(exif)
        details, gps = exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
    except Exception:  # noqa: BLE001 - a broken EXIF block breaks Pillow in every possible way
        main, details, gps = {}, {}, {}
    xmp = read_xmp(xmp_of(image))
    by_exif = list(exif_moment(main, details, gps, _text))
    moments = (moment for moment in (*by_exif[:2], xmp.taken, *by_exif[2:]) if moment is not None)
    latitude, longitude = exif_place(gps, _text)
    if latitude is None:
        latitude, longitude = xmp.latitude, xmp.longitude
    return Facts(
        width=width,
        height=height,
        format=format_name,
        bytes=size,
        taken=next(moments, None),
        camera=_camera(main.get(_MAKE), main.get(_MODEL)),
        latitude=latitude,
        longitude=longitude,
    )


def read_orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8; 1 if it is absent or invalid."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - as above: an image without legible EXIF is upright
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _text(value: object) -> str:
    # Cameras pad with NULs and blanks; some write bytes in an unnamed encoding.
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    value = value.split("\x00", 1)[0]
    printable = "".join(c if c.isprintable() else " " for c in value[:1000])
    return " ".join(printable.replace("\ufffd", " ").split())


def xmp_of(image: Image.Image) -> object:
    """The XMP packet of an image, where its format keeps it."""
    if "xmp" in image.info or "XML:com.adobe.xmp" in image.info:
        return image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    tags: Any = getattr(image, "tag_v2", None)
    try:
        return None if tags is None else tags.get(_XMP)
    except Exception:  # noqa: BLE001 - as above
        return None


def _camera(make: object, model: object) -> str | None:
    maker, name = _text(make), _text(model)
    # "Canon" + "Canon EOS R5", "NIKON CORPORATION" + "NIKON D850": the model names the maker.
    if maker and name and name.lower().split()[0] == maker.lower().split()[0]:
        maker = ""
    return f"{maker} {name}".strip()[:_CAMERA_LENGTH].strip() or None
