"""Open JPEG XL files with pylibjxl."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from glocal.errors import ImageError, install_command

if TYPE_CHECKING:
    from PIL import Image


def open_jxl(data: bytes) -> Image.Image:
    """Open a JPEG XL file, which libjxl turns upright by itself.

    It is opened by its class instead of being registered, as HEIF is: the calling program's Pillow
    does not start to read another format.

    Raises:
        ImageError: The package that reads it is not installed.
        OSError, ValueError, RuntimeError: Raised by pylibjxl.
    """
    try:
        from pylibjxl.pillow_plugin import JxlImageFile
    except ImportError as error:
        raise ImageError(
            f"JPEG XL can't be read without pylibjxl; install it: {install_command('glocal[jxl]')}"
        ) from error
    image: Image.Image = JxlImageFile(io.BytesIO(data), "")
    return image
