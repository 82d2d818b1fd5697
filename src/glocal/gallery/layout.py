"""The folder of a gallery: what lies where, which format it has, which model made its vectors.

::

    gallery.json       format version and model, written last when a gallery is made
    catalog.sqlite     which files hold which images (`Catalog`)
    vectors/           their vectors (`EdgeStore`)
    model-HASH.onnx    the model, so that a gallery can be searched wherever and whenever it is
    kept/              images that were added without a file of their own
    decisions.sqlite   what people decided about duplicates (`Decisions`)
    trash.jsonl        what was moved to the system's trash (`Trash`)
    write.lock         held by whoever changes the gallery (`NamedLock`)
    vectors.lock       held by whoever has the vectors open (`SharedStore`)
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, find_model
from glocal.encoders.registry import file_sha256
from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryFormatError,
    GalleryMissingError,
    ModelMismatchError,
)
from glocal.gallery.locks import NamedLock
from glocal.gallery.stores.files import replace_text

FORMAT = 1

RESERVE = 256 * 2**20
"""Bytes left free on the disk, checked before each batch.

The store maps files into memory ahead of writing; a disk that is truly full ends the process there
and then (SIGBUS). The gallery survives that, but a clear error is better.
"""


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model a gallery's vectors are of.

    Attributes:
        name: and `version`, from its card.
        version: counts up when the vectors change.
        sha256: of its file, in hexadecimal: the same hash is the same space of vectors.
        dim: length of its vectors.
    """

    name: str
    version: int
    sha256: str
    dim: int

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A gallery's folder and model."""

    folder: Path
    model: ModelId

    @property
    def catalog(self) -> Path:
        """The catalogue's file."""
        return self.folder / "catalog.sqlite"

    @property
    def vectors(self) -> Path:
        """The store's folder."""
        return self.folder / "vectors"

    @property
    def kept(self) -> Path:
        """The folder of images that were added without a file."""
        return self.folder / "kept"

    @property
    def decisions(self) -> Path:
        """The file of what people decided about duplicates."""
        return self.folder / "decisions.sqlite"

    @property
    def model_file(self) -> Path:
        """The gallery's own copy of its model."""
        return self.folder / f"model-{self.model.sha256[:16]}.onnx"

    def write_lock(self) -> NamedLock:
        """A lock on changing the gallery."""
        return NamedLock(self.folder / "write.lock", f"gallery {self.folder} (to change it)")

    def vectors_lock(self) -> NamedLock:
        """A lock on having the vectors open."""
        return NamedLock(self.folder / "vectors.lock", f"gallery {self.folder}")

    def free_bytes(self) -> int:
        """Space left on the gallery's disk."""
        return shutil.disk_usage(self.folder).free

    def require_space(self) -> None:
        """Make sure there is room to go on.

        Raises:
            DiskFullError: less than `RESERVE` is left.
        """
        free = self.free_bytes()
        if free < RESERVE:
            raise DiskFullError(
                f"only {free // 2**20} MB are left on the disk of gallery {self.folder}; "
                f"free at least {RESERVE // 2**20} MB and run the same command again "
                "(what was done so far is kept)"
            )


def open_layout(
    folder: Path, *, model: str | None, sha256: str | None, create: bool, timeout: float
) -> Layout:
    """Read a gallery's layout, or make a gallery where none is.

    Args:
        folder: of the gallery.
        model: name, path or hub name; for a new gallery the model it will have (`None`: the
            default), for an existing one the model it must have (`None`: whichever it has).
        sha256: what the model file's hash must be.
        create: whether to make a gallery that is not there.
        timeout: seconds to wait for another process that makes it.

    Raises:
        GalleryMissingError: nothing is there, and `create` is false.
        GalleryFormatError: the folder is of another format, or not a gallery at all.
        ModelMismatchError: the gallery's vectors are of another model.
        ModelError: the model cannot be found or run.
    """
    if not (folder / "gallery.json").exists():
        if not create:
            raise GalleryMissingError(
                f"there is no gallery at {folder}; make one: glocal index FOLDER"
            )
        _create(folder, model, sha256, timeout)
    layout = Layout(folder, _read(folder))
    if model is not None or sha256 is not None:
        wanted = (sha256 or "").lower() if model is None else file_sha256(find_model(model, sha256))
        if wanted != layout.model.sha256:
            raise ModelMismatchError(
                f"the vectors of gallery {folder} were made by {layout.model} "
                f"({layout.model.sha256[:12]}), and {model or 'yours'} ({wanted[:12]}) is another: "
                "their vectors cannot be compared; leave --model out, or index the images into "
                "another gallery"
            )
    return layout


def _read(folder: Path) -> ModelId:
    path = folder / "gallery.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = int(stored["format"])
        if version > FORMAT:
            raise GalleryFormatError(
                f"gallery {folder} has format {version}, and this glocal reads up to {FORMAT}; "
                "upgrade it: pip install --upgrade glocal"
            )
        if version < FORMAT:
            raise GalleryFormatError(
                f"gallery {folder} has format {version}, which was never released; "
                "delete its folder and index the images again"
            )
        return ModelId(**stored["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, GalleryError):
            raise
        raise GalleryDamagedError(
            f"{path} cannot be read ({error}); delete the gallery's folder and index again"
        ) from error


def _create(folder: Path, model: str | None, sha256: str | None, timeout: float) -> None:
    source = find_model(model or DEFAULT_MODEL, sha256)
    card = OnnxEncoder(source).card
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = {"write.lock", "write.lock.json", ".DS_Store"}
        foreign = [p.name for p in folder.iterdir() if p.name not in ours]
    except OSError as error:
        raise GalleryError(f"no gallery can be made at {folder}: {error.strerror}") from error
    begun = ("model-", ".model.", ".gallery.json.", ".write.lock.json.")
    half_made = all(name.startswith(begun) for name in foreign)
    if not half_made and not (folder / "gallery.json").exists():
        if {"catalog.sqlite", "vectors"} <= set(foreign):
            raise GalleryDamagedError(
                f"gallery {folder} has lost its gallery.json, and with it what made its vectors; "
                "delete its folder and index the images again"
            )
        raise GalleryFormatError(
            f"{folder} is neither empty nor a gallery (it holds {sorted(foreign)[0]!r}); "
            "name an empty or a new folder"
        )
    lock = NamedLock(folder / "write.lock", f"gallery {folder} (being made)")
    lock.acquire(timeout)
    try:
        if (folder / "gallery.json").exists():
            return  # another process was quicker
        made = ModelId(card.name, card.version, file_sha256(source), card.dim)
        layout = Layout(folder, made)
        layout.require_space()
        fresh = folder / f".model.{os.getpid()}"
        shutil.copyfile(source, fresh)
        fresh.replace(layout.model_file)
        replace_text(
            folder / "gallery.json",
            json.dumps({"format": FORMAT, "model": asdict(made)}, indent=2) + "\n",
        )
    finally:
        lock.release()
