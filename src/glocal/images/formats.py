"""The formats that glocal reads: how each is recognised and opened."""

from __future__ import annotations

import io
import os
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from glocal.errors import ImageError, install_command
from glocal.images.heif import open_heif
from glocal.images.jxl import open_jxl
from glocal.images.quiet import silence_libtiff
from glocal.images.tiff import refuse_unsupported

if TYPE_CHECKING:
    from PIL import Image

# fmt: off
_EXTENSIONS = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs",
        ".heic", ".heics", ".heif", ".heifs", ".hif", ".gif", ".tif", ".tiff", ".bmp", ".dib",
        ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx",
    )
)
_RAW_EXTENSIONS = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc",
        ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl",
        ".sr2", ".srf", ".srw", ".x3f",
    )
)
_KNOWN_EXTENSIONS = {
    "Photoshop": (".psd", ".psb"),
    "SVG": (".svg", ".svgz"),
    "PostScript": (".eps", ".ai"),
    "OpenEXR": (".exr",),
    "Radiance HDR": (".hdr",),
    "GIMP": (".xcf",),
    "Krita": (".kra",),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "TGA": (".tga",),
    "DDS": (".dds",),
    "DjVu": (".djvu", ".djv"),
}
# fmt: on

_KINDS = {extension: kind for kind, known in _KNOWN_EXTENSIONS.items() for extension in known}

# Brands of ISO media files; Pillow reads the first kind, pi-heif the second, LibRaw Canon's CR3.
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)


def has_image_suffix(name: str | os.PathLike[str]) -> bool:
    """Tell by its extension whether a file of a folder is worth opening as an image.

    This is only used to walk folders; the format of a file is decided by its content. Camera RAW
    and JPEG XL count if the packages that read them (the extras ``raw`` and ``jxl``) are installed.
    """
    extension = os.path.splitext(name)[1].lower()
    if extension in _RAW_EXTENSIONS:
        return _has_package("rawpy")
    if extension == ".jxl":
        return _has_package("pylibjxl")
    return extension in _EXTENSIONS


def kind_not_read(name: str | os.PathLike[str]) -> str | None:
    """Name the kind of image that a file is by its extension, if this glocal does not read it."""
    extension = os.path.splitext(name)[1].lower()
    if extension in _EXTENSIONS or has_image_suffix(name):
        return None
    if extension in _RAW_EXTENSIONS:
        return f"camera RAW ({install_command('glocal[raw]')})"
    if extension == ".jxl":
        return f"JPEG XL ({install_command('glocal[jxl]')})"
    return _KINDS.get(extension)


def is_raw_name(name: str | os.PathLike[str]) -> bool:
    """Tell by its extension whether a file claims to be camera RAW.

    Most RAW formats are TIFF inside, and the TIFF reader would return their thumbnail. RAW is
    therefore the only format for which the content is not enough.
    """
    return os.path.splitext(name)[1].lower() in _RAW_EXTENSIONS


def detect(data: bytes) -> str | None:
    """Name the format of a file by its first bytes: "JPEG", "PNG", ..., "RAW", or None."""
    for magic, name in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"BM", "BMP"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"\xff\x4f\xff\x51", "JPEG2000"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JXL"),
        (b"\xff\x0a", "JXL"),
        (b"FUJIFILMCCD-RAW", "RAW"),
        (b"IIRO", "RAW"),  # Olympus
        (b"IIRS", "RAW"),
        (b"MMOR", "RAW"),
        (b"IIU\x00", "RAW"),  # Panasonic
        (b"FOVb", "RAW"),  # Sigma
        (b"\x00MRM", "RAW"),  # Minolta
    ):
        if data.startswith(magic):
            return name
    if data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "RAW" if data[8:10] == b"CR" else "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _detect_brand(data)
    if len(data) > 2 and data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":
        return "PPM"
    return None


def open_header(data: bytes, name: str) -> Image.Image:
    """Open the bytes of an image of a known format with Pillow, reading no further than needed.

    ``PIL.Image.open`` is not used: it guesses formats, and compares with the ``MAX_IMAGE_PIXELS``
    of the whole process, which belongs to the calling program; glocal checks its own limit.

    Raises:
        ImageError: This build of Pillow cannot read the format.
        Exception: Whatever the decoder raises; :func:`glocal.images.load` converts it.
    """
    if name == "HEIF":
        return open_heif(data)
    if name == "JXL":
        return open_jxl(data)
    _register()
    if name == "TIFF":
        refuse_unsupported(data)
    from PIL import Image

    factory, accept = Image.OPEN[name]
    verdict = accept(data[:16]) if accept else True
    if isinstance(verdict, str):
        raise ImageError(f"{name} can't be read on this machine: {verdict}")
    return factory(io.BytesIO(data), "")


def _detect_brand(data: bytes) -> str | None:
    # The major brand may be a generic one; the compatible brands then tell.
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return "AVIF"
        if brand == b"crx ":
            return "RAW"
        if brand in _HEIF_BRANDS and brand not in (b"mif1", b"msf1"):
            return "HEIF"
    return "HEIF" if _HEIF_BRANDS.intersection(brands) else None


@cache
def _register() -> None:
    # Importing a plugin registers it; only these, never the ones that start programs (EPS).
    from PIL import (  # noqa: F401
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    silence_libtiff()


@cache
def _has_package(name: str) -> bool:
    return find_spec(name) is not None
