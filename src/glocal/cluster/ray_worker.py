"""What one of Ray's workers does: see `glocal.cluster.ray_workers`. Imports nothing of Ray's."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glocal import __version__
from glocal.errors import GlocalError
from glocal.gallery.batches import ReadFile
from glocal.gallery.reading_files import FileReader, Found, Recipe


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a worker cannot begin, which no other could either."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Ready:
    reader: FileReader
    threads: ThreadPoolExecutor


_ready: dict[str, _Ready] = {}  # one, of the run that this process works for


def start(version: str, recipe: Recipe, model: list[Any], threads: int) -> list[ReadFile] | Refused:
    """Open the model, once.

    Args:
        version: of the glocal that indexes.
        recipe: how images are described.
        model: a reference to the model's bytes in Ray's object store, or these themselves.
        threads: how many files are read at a time.
    """
    if version != __version__:
        return Refused(
            f"a worker has glocal {__version__}, and the process that indexes {version}; install "
            "the same version on all machines"
        )
    try:
        with TemporaryDirectory(prefix="glocal-model-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(_fetched(model[0], recipe.sha256))
            describer = recipe.describer(path)
    except (GlocalError, OSError) as error:
        return Refused(f"a worker cannot open the model: {error}")
    pool = ThreadPoolExecutor(threads, thread_name_prefix="glocal-read")
    # The catalogue is not here: what is known already is described again, and then left as it is.
    _ready["now"] = _Ready(FileReader(describer, lambda _: False), pool)
    return []


def _fetched(model: Any, sha256: str) -> bytes:
    if isinstance(model, bytes):
        data = model
    else:
        import ray

        data = ray.get(model)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError("its bytes were damaged on their way")
    return data


def read_files(files: list[Found]) -> list[ReadFile]:
    """Read and describe files; what cannot be used is among them with its reason."""
    ready = _ready["now"]
    return list(ready.threads.map(ready.reader.read, files))
