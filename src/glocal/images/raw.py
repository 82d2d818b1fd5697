"""Read camera RAW by the JPEG preview that every camera stores in its RAW files."""

from __future__ import annotations

import io
import struct

from glocal.errors import ImageError, install_command

_NEW_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 0x00FE, 0x014A, 0xC612
# LibRaw tells how to turn the sensor's image; EXIF has other numbers for the same.
_ORIENTATION_OF_FLIP = {0: 1, 3: 3, 5: 8, 6: 6}


def embedded_preview(data: bytes) -> tuple[bytes, int]:
    """Extract the preview from a camera RAW file.

    Developing the sensor's data takes seconds and yields other colours than the camera showed. The
    preview is what the photographer saw, and it is large enough.

    Returns:
        The preview as JPEG, and its EXIF orientation, 1 to 8.

    Raises:
        ImageError: The package that reads RAW is not installed (which concerns this image and not
            the whole run, since a folder may hold other images), or the file has no preview, or
            the preview is not a JPEG.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImageError(
            f"camera RAW can't be read without rawpy; install it: {install_command('glocal[raw]')}"
        ) from error
    with rawpy.imread(io.BytesIO(data)) as raw:
        try:
            preview = raw.extract_thumb()
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
            raise ImageError("the camera RAW file has no preview") from error
        orientation = _ORIENTATION_OF_FLIP.get(raw.sizes.flip, 1)
    if preview.format != rawpy.ThumbFormat.JPEG:
        raise ImageError("the preview of the camera RAW file isn't a JPEG")
    return bytes(preview.data), orientation


def is_raw_tiff(data: bytes) -> bool:
    """Tell a RAW file that is TIFF inside (DNG, NEF, ARW) from a TIFF image.

    Its first directory says that it is a DNG, or that it describes only a reduced version and
    lists the directories that have the rest.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        version, start = struct.unpack_from(f"{order}HI", data, 2)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        entries = [
            struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * i) for i in range(count)
        ]
    except struct.error:
        return False
    tags = {tag: value for tag, _, _, value in entries}
    if version != 42:
        return False
    return _DNG_VERSION in tags or (tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags)
