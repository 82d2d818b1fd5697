"""One file that holds a fitted bridge and its card.

It has the layout of safetensors, so that other programs can read the arrays: the length of the
header (8 bytes, little-endian), the header as JSON, then the arrays. Reading runs no code of the
file, checks every size before it allocates, and checks the SHA-256 of the arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError, MissingExtraError, PartError
from glocal.upgrade.bridge import Bridge, make_bridge
from glocal.upgrade.vectors import MAX_DIM

SUFFIX = ".bridge"
FORMAT = "1"
MAX_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 20
MAX_TEXT = 1_000
_FORMAT_KEY, _CARD_KEY, _HASH_KEY = "glocal.bridge", "glocal.card", "glocal.sha256"


@dataclass(frozen=True, slots=True)
class BridgeCard:
    """What a bridge's file says about itself.

    Attributes:
        name: The part in the registry.
        old_space: Space of the gallery's vectors.
        new_space: Space of the queries.
        old_dim: Length of the old vectors.
        new_dim: Length of the new vectors.
        dim: Length of the vectors that are compared.
        anchors: Number of images that it was fitted to.
        glocal_version: Version of glocal that fitted it.
        measured: Figures on images kept aside, by name, such as those of
            `glocal.upgrade.BridgeMeasurement`; empty where nothing was measured.
    """

    name: str
    old_space: str
    new_space: str
    old_dim: int
    new_dim: int
    dim: int
    anchors: int
    glocal_version: str
    measured: dict[str, float] = field(default_factory=dict)


def save_bridge(
    path: str | os.PathLike[str],
    bridge: Bridge,
    *,
    old_space: str,
    new_space: str,
    anchors: int,
    glocal_version: str,
    measured: Mapping[str, float] | None = None,
) -> BridgeCard:
    """Write a fitted bridge to a file, whole or not at all.

    Args:
        path: The file; one that is there is replaced.
        bridge: The bridge.
        old_space: Space of the gallery's vectors.
        new_space: Space of the queries.
        anchors: Number of images that it was fitted to.
        glocal_version: That of ``glocal.__version__``.
        measured: Figures on images kept aside.

    Raises:
        BridgeError: The bridge is not fitted, the card cannot be, or the file cannot be written.
    """
    if not bridge.new_dim:
        raise BridgeError(f"the bridge {bridge.name!r} is not fitted; call fit first")
    card = BridgeCard(
        name=bridge.name,
        old_space=old_space,
        new_space=new_space,
        old_dim=bridge.old_dim,
        new_dim=bridge.new_dim,
        dim=bridge.dim,
        anchors=anchors,
        glocal_version=glocal_version,
        measured={name: float(value) for name, value in (measured or {}).items()},
    )
    wrong = _wrong_in(card)
    if wrong:
        raise BridgeError(f"the bridge cannot be saved: {wrong}")
    arrays = {
        name: np.ascontiguousarray(array, "<f4") for name, array in sorted(bridge.arrays().items())
    }
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("xb") as file:
            _write(file, card, arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise BridgeError(f"the bridge {target} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return card


def load_bridge(path: str | os.PathLike[str]) -> tuple[Bridge, BridgeCard]:
    """Read a bridge and its card.

    Raises:
        BridgeError: The file is missing, is no bridge, is damaged, or needs a part that is not
            installed.
    """
    with _opened(path) as file:
        try:
            card, layout, digest, begin = _read_header(file)
            bridge = make_bridge(card.name)
            bridge.old_dim, bridge.new_dim = card.old_dim, card.new_dim
            bridge.restore(_read_arrays(file, layout, digest, begin))
            if bridge.dim != card.dim:
                raise BridgeError(f"its card names dim {card.dim}, its arrays have {bridge.dim}")
        except (PartError, MissingExtraError) as error:
            raise BridgeError(f"the bridge {path} needs a part: {error}") from error
        except BridgeError as error:
            raise BridgeError(f"the bridge {path} cannot be used: {error}") from error
        except OSError as error:
            raise BridgeError(f"the bridge {path} cannot be read: {error.strerror}") from error
    return bridge, card


def read_bridge_card(path: str | os.PathLike[str]) -> BridgeCard:
    """Read the card alone, without the arrays.

    Raises:
        BridgeError: The file is missing, is no bridge, or its header is damaged.
    """
    with _opened(path) as file:
        try:
            return _read_header(file)[0]
        except BridgeError as error:
            raise BridgeError(f"the bridge {path} cannot be used: {error}") from error
        except OSError as error:
            raise BridgeError(f"the bridge {path} cannot be read: {error.strerror}") from error


Layout = list[tuple[str, tuple[int, ...], int]]
"""Name, shape and first byte of each array."""


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    found = Path(path)
    if not found.is_file():
        raise BridgeError(f"there is no bridge {found}; give the path of a file")
    try:
        return found.open("rb")
    except OSError as error:
        raise BridgeError(f"the bridge {found} cannot be read: {error.strerror}") from error


def _write(file: BinaryIO, card: BridgeCard, arrays: dict[str, NDArray[np.float32]]) -> None:
    digest, end = hashlib.sha256(), 0
    header: dict[str, Any] = {"__metadata__": {}}
    for name, array in arrays.items():
        digest.update(array.tobytes())
        span = [end, end + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        end += array.nbytes
    header["__metadata__"] = {
        _FORMAT_KEY: FORMAT,
        _CARD_KEY: json.dumps(asdict(card)),
        _HASH_KEY: digest.hexdigest(),
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # arrays begin at a multiple of 8, as safetensors wants
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for array in arrays.values():
        file.write(array.tobytes())


def _read_header(file: BinaryIO) -> tuple[BridgeCard, Layout, str, int]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size > MAX_BYTES:
        raise BridgeError(f"it has {size} bytes, more than the {MAX_BYTES} that a bridge may have")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise BridgeError("it is not a bridge; give a file that glocal wrote")
    try:
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__")
        version = metadata[_FORMAT_KEY]
        raw, digest = json.loads(metadata[_CARD_KEY]), str(metadata[_HASH_KEY])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BridgeError("it is not a bridge; give a file that glocal wrote") from error
    if version != FORMAT:
        raise BridgeError(f"its format is {version!r:.40}, not {FORMAT}; update glocal")
    return _card(raw), _layout(header, size - 8 - length), digest, 8 + length


def _card(raw: Any) -> BridgeCard:
    known = {each.name for each in fields(BridgeCard)}
    if not isinstance(raw, dict) or not known <= raw.keys():
        raise BridgeError("its card is damaged; fit the bridge again")
    card = BridgeCard(**{name: raw[name] for name in known})
    wrong = _wrong_in(card)
    if wrong:
        raise BridgeError(f"its card is damaged, {wrong}; fit the bridge again")
    return card


def _wrong_in(card: BridgeCard) -> str:
    """What is impossible in a card; empty where nothing is."""
    for name in ("name", "old_space", "new_space", "glocal_version"):
        text = getattr(card, name)
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            return f"{name} is {text!r:.100}, not a name"
    for name, most in (("old_dim", MAX_DIM), ("new_dim", MAX_DIM), ("dim", MAX_DIM * 16)):
        if type(getattr(card, name)) is not int or not 0 < getattr(card, name) <= most:
            return f"{name} is {getattr(card, name)!r:.100}, not a number from 1 to {most}"
    if type(card.anchors) is not int or card.anchors < 0:
        return f"anchors is {card.anchors!r:.100}, not a number of images"
    if not isinstance(card.measured, dict) or not all(
        isinstance(name, str) and type(value) in (int, float) and math.isfinite(value)
        for name, value in card.measured.items()
    ):
        return f"measured is {card.measured!r:.100}, not figures by name"
    return ""


def _layout(header: dict[str, Any], available: int) -> Layout:
    """Where each array lies; together they have to fill the file exactly."""
    found: Layout = []
    end = 0
    try:
        spans = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        for name, entry in spans:
            shape, (begin, stop) = tuple(entry["shape"]), entry["data_offsets"]
            whole = all(type(number) is int and number >= 0 for number in (*shape, begin, stop))
            if not whole or entry["dtype"] != "F32" or begin != end:
                raise ValueError(name)
            if len(shape) > 4 or 4 * math.prod(shape) != stop - begin:
                raise ValueError(name)
            found.append((name, shape, begin))
            end = stop
    except (ValueError, KeyError, TypeError) as error:
        raise BridgeError("its table of arrays is damaged; fit the bridge again") from error
    if end != available:
        raise BridgeError(
            f"it should have {end} bytes of arrays and has {available}; copy the file again"
        )
    return found


def _read_arrays(
    file: BinaryIO, layout: Layout, digest: str, begin: int
) -> dict[str, NDArray[np.float32]]:
    file.seek(begin)
    data = file.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise BridgeError("its arrays are damaged; copy the file again, or fit the bridge again")
    arrays = {}
    for name, shape, first in layout:
        count = math.prod(shape)
        array = np.frombuffer(data, "<f4", count, first).reshape(shape).astype(np.float32)
        if not np.isfinite(array).all():
            raise BridgeError(f"its array {name!r} has nan or infinite numbers; fit it again")
        arrays[name] = array
    return arrays
