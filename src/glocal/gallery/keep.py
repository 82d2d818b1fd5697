"""Images that come without a file: they get one, inside the gallery's folder."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from glocal.errors import QueryError
from glocal.gallery.describing import content_id
from glocal.gallery.stores.files import replace_file, sync_folder
from glocal.images import Limits, load

if TYPE_CHECKING:
    from glocal.images import ImageSource

_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}
_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|.][^\x00-\x1f/\\:*?\"<>|]*")
_NAME_BYTES = 200  # file systems take 255, and something may be put behind the name


def keep_image(folder: Path, source: ImageSource, name: str | None, limits: Limits) -> Path:
    """Write an image into a folder and return its path.

    Encoded images (bytes, file objects) are kept byte for byte, others as PNG, which loses
    nothing. The same image under the same name is kept once.

    Args:
        folder: made when it is not there.
        source: bytes, a file object, a PIL image or an array; see `glocal.images.load`.
        name: what to call it; `None`: after its content.
        limits: of what is read.

    Raises:
        ImageError: it is no image.
        QueryError: the name cannot be a file's.
    """
    if name is not None:
        _require_name(name)
    data = _encoded(source, limits)
    facts = load(data, min_side=1, limits=limits).facts
    ending = _ENDINGS.get(facts.format, f".{facts.format.lower()}")
    digest = content_id(data).hex
    stem = digest if name is None else name.removesuffix(ending)
    path = folder / f"{stem}{ending}"
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    if path.exists() and content_id(path.read_bytes()).hex != digest:
        path = folder / f"{stem}-{digest[:8]}{ending}"
    replace_file(path, data)  # synced: it is the only copy
    return path


def _require_name(name: str) -> None:
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:  # half of a surrogate pair
        size = 0
    if not 0 < size <= _NAME_BYTES or not _NAME.fullmatch(name):
        raise QueryError(
            f'{name!r} cannot be the name of a file; leave out / \\ : * ? " < > | and a leading '
            f"dot, and take no more than {_NAME_BYTES} bytes"
        )


def _encoded(source: ImageSource, limits: Limits) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    read = getattr(source, "read", None)
    if callable(read):
        return bytes(read(limits.max_bytes + 1))
    from PIL import Image  # slow to import

    buffer = io.BytesIO()
    Image.fromarray(load(source, limits=limits).array).save(buffer, "PNG")
    return buffer.getvalue()
