"""What searches have found lately, while an upgrade is under way: it is encoded anew first.

A file of ids, which any process appends to and the one that encodes reads. It is no more than a
hint: nothing waits for the disk, and what a power cut takes costs an order and no image.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

_ID_BYTES = 16
_MOST_BYTES = 1 << 20


def note(path: Path, ids: Iterable[UUID]) -> None:
    """Append ids; where that is impossible, as in a mounted archive, nothing happens."""
    data = b"".join(i.bytes for i in ids)
    with suppress(OSError), path.open("ab", buffering=0) as file:
        if file.tell() < _MOST_BYTES:
            file.write(data)


def take(path: Path) -> list[UUID]:
    """The ids that were noted since they were last taken, the last found first."""
    try:
        data = path.read_bytes()
        path.unlink()
    except OSError:
        return []
    whole = len(data) - len(data) % _ID_BYTES
    ids = [UUID(bytes=data[at : at + _ID_BYTES]) for at in range(0, whole, _ID_BYTES)]
    return list(dict.fromkeys(reversed(ids)))
