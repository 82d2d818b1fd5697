"""What was measured of a model on this machine, remembered in the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)


def remembered_file(kind: str, sha256: str, threads: int, folder: Path | None = None) -> Path:
    """The file of one model on this machine: a home folder may be shared by several.

    Args:
        kind: what is measured; each has a folder.
        sha256: of the model's file.
        threads: that one image may use.
        folder: where figures are remembered; `None` for the user's cache.
    """
    import onnxruntime
    import platformdirs

    if folder is None:
        folder = platformdirs.user_cache_path("glocal", appauthor=False) / kind
    machine = (platform.node(), platform.machine(), os.cpu_count(), onnxruntime.__version__)
    digest = hashlib.sha256(repr((sha256, threads, machine)).encode()).hexdigest()
    return folder / f"{digest[:24]}.json"


def recall(path: Path, names: Sequence[str]) -> list[float] | None:
    """The milliseconds of each name; `None` where they were never measured, or are damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["milliseconds"]
        times = [float(known[name]) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return times if all(0 < each < float("inf") for each in times) else None


def remember(path: Path, milliseconds: dict[str, float]) -> None:
    """Keep them; where that cannot be, they are measured each time."""
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"milliseconds": milliseconds}) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        _log.info("what was measured cannot be kept in %s: %s", path, error)
