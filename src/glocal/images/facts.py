"""Read the facts that an image's file states: size, time, camera, place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_MAKE, _MODEL, _EXIF_IFD, _GPS_IFD = 0x010F, 0x0110, 0x8769, 0x8825
_DATE_TIME_ORIGINAL = 0x9003
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_CAMERA_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an image besides its pixels.

    Attributes:
        width, height: Full size of the upright image in pixels, even if fewer were decoded.
        format: "JPEG", "PNG", "HEIF", ...; "array" for NumPy arrays, "image" for a PIL image that
            was not read from a file.
        bytes: Encoded size; None for arrays and PIL images.
        taken: EXIF ``DateTimeOriginal``, the camera's local time without a zone.
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
    latitude, longitude = _place(gps)
    return Facts(
        width=width,
        height=height,
        format=format_name,
        bytes=size,
        taken=_moment(details.get(_DATE_TIME_ORIGINAL)),
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


def _moment(value: object) -> datetime | None:
    match = _DATE.match(_text(value))
    if match is None:
        return None
    try:
        return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00 is how a camera says that its clock was never set
        return None


def _camera(make: object, model: object) -> str | None:
    maker, name = _text(make), _text(model)
    # "Canon" + "Canon EOS R5", "NIKON CORPORATION" + "NIKON D850": the model names the maker.
    if maker and name and name.lower().split()[0] == maker.lower().split()[0]:
        maker = ""
    return f"{maker} {name}".strip()[:_CAMERA_LENGTH].strip() or None


def _place(gps: Mapping[int, Any]) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "N", "S", 90.0)
    longitude = _degrees(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "E", "W", 180.0)
    if latitude is None or longitude is None:
        return None, None
    return latitude, longitude


def _degrees(
    value: object, direction: object, positive: str, negative: str, bound: float
) -> float | None:
    letter = _text(direction).upper()[:1]
    if letter not in (positive, negative) or not isinstance(value, tuple) or len(value) != 3:
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    angle = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(angle) or min(degrees, minutes, seconds) < 0 or angle > bound:
        return None
    return -angle if letter == negative else angle
