"""The folder of a gallery: what lies where, which format it has, which model made its vectors.

::

    gallery.json       format, kind of store and model, written last when a gallery is made;
                       and of an upgrade that is under way all that is to be known of it
    catalog.sqlite     which files hold which images (`Catalog`), and which row each vector has
    vectors/           their vectors (`FlatStore`)
    model-HASH.onnx    the model, so that a gallery can be searched wherever and whenever it is;
                       and model-HASH.int8.onnx, its twin, where it has one that is not bundled
    bridge-HASH.bridge maps between two spaces, and `found`: while an upgrade is under way
    kept/              images that were added without a file of their own
    decisions.sqlite   what people decided about duplicates (`Decisions`)
    words.sqlite       which image has which words, a cache (`Words`)
    text.json          which image-text model lets words find what they mean; with text-HASH-N/
    compared.sqlite    what comparing two images gave, a cache (`Outcomes`)
    trash.jsonl        what was moved to the system's trash (`Trash`)
    scores.json        which similarities mean as much as those of other models, a cache (`Scales`)
    cluster.toml       where the vectors are that lie in a cluster, and how to reach it
    write.lock         held while a gallery is made, migrated or rescued
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glocal import __version__
from glocal.encoders import DEFAULT_MODEL, find_model
from glocal.encoders.model_files import file_sha256
from glocal.encoders.onnx import read_card
from glocal.encoders.precision import BUNDLED, find_twin, twin_path
from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryFormatError,
    GalleryMissingError,
    ModelMismatchError,
    install_command,
)
from glocal.gallery.locks import locked
from glocal.gallery.model_id import ModelId
from glocal.gallery.store_place import COMPACT, EMBEDDED, NEW, STORES, StorePlace
from glocal.gallery.stores.files import explained, replace_file, sync, sync_folder
from glocal.gallery.under_way import UnderWay
from glocal.registry import load

FORMAT = 2

UPGRADING = 3
"""The format of a gallery whose images are of two models, which earlier versions do not read. It
has `FORMAT` again when it is of one."""

RESERVE = 256 * 2**20
"""Bytes left free on the disk, checked before each batch, for what else is written there."""


Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """A gallery's folder and model.

    Attributes:
        folder: of the gallery.
        model: that encodes queries and new images.
        substitute: the file of another model of the same space, which is to be used instead.
        migrated: whether this opening has migrated it from an older format.
        upgrade: the upgrade to `model` that is under way.
        stamp: of the description that was read; see `stamp_of`.
        store: what keeps the vectors.
    """

    folder: Path
    model: ModelId
    substitute: Path | None = None
    migrated: bool = False
    upgrade: UnderWay | None = None
    stamp: Stamp = (0, 0, 0)
    store: StorePlace = EMBEDDED

    @property
    def catalog(self) -> Path:
        """The catalogue's file."""
        return self.folder / "catalog.sqlite"

    @property
    def vectors(self) -> Path:
        """The store's folder."""
        return self.folder / "vectors"

    @property
    def cluster(self) -> Path:
        """The file that says where the cluster is."""
        return self.folder / "cluster.toml"

    @property
    def kept(self) -> Path:
        """The folder of images that were added without a file."""
        return self.folder / "kept"

    @property
    def decisions(self) -> Path:
        """The file of what people decided about duplicates."""
        return self.folder / "decisions.sqlite"

    @property
    def outcomes(self) -> Path:
        """The file of what comparing two images gave."""
        return self.folder / "compared.sqlite"

    @property
    def model_file(self) -> Path:
        """The gallery's own copy of its model."""
        return self.copy_of(self.model)

    @property
    def encoder_file(self) -> Path:
        """The file of the model that encodes: its own, or the one that is used instead."""
        return self.substitute or self.model_file

    def copy_of(self, model: ModelId) -> Path:
        """Where a gallery keeps its copy of a model."""
        return self.folder / f"model-{model.sha256[:16]}.onnx"

    @property
    def found(self) -> Path:
        """The file of what searches have found and the model has yet to encode."""
        return self.folder / "found"

    def require_current(self) -> None:
        """Make sure that the gallery's description is still the one that was read.

        Raises:
            ModelMismatchError: an upgrade has begun, ended or been taken back meanwhile.
        """
        if stamp_of(self.folder) != self.stamp:
            raise ModelMismatchError(
                f"the model of gallery {self.folder} was changed by another process meanwhile; "
                "run the same command again"
            )

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
    folder: Path,
    *,
    model: str | None,
    sha256: str | None,
    create: bool,
    timeout: float,
    cluster: Path | None = None,
    compact: bool = False,
) -> Layout:
    """Read a gallery's layout, or make a gallery where none is.

    Args:
        folder: of the gallery.
        model: name, path or hub name; for a new gallery the model it will have (`None`: the
            default), for an existing one the model it must have (`None`: whichever it has).
        sha256: what the model file's hash must be.
        create: whether to make a gallery that is not there.
        timeout: seconds to wait for another process that makes or migrates it.
        cluster: file of the cluster that a new gallery keeps its vectors in; of an existing
            gallery that does, where the cluster is from now on.
        compact: make a gallery whose local features take a third; see `packed_features`.

    Raises:
        GalleryMissingError: nothing is there, and `create` is false.
        GalleryError: the gallery is there, and keeps its vectors in its folder, or is not compact.
        GalleryFormatError: the folder is of another format, or not a gallery at all.
        MissingExtraError: a gallery of format 1 needs a package to be migrated.
        ModelMismatchError: the gallery's vectors are of another space.
        ModelError: the model cannot be found or run.
    """
    if not (folder / "gallery.json").exists():
        if not create:
            raise GalleryMissingError(
                f"there is no gallery at {folder}; make one: glocal index FOLDER"
            )
        _create(folder, model, sha256, timeout, cluster, compact=compact)
        cluster = None
    stamp, stored = stamp_of(folder), read_description(folder)
    migrated = stored["format"] == 1
    if migrated:
        from glocal.gallery.migration import migrate  # for old galleries only

        migrate(folder, timeout)
        stamp, stored = stamp_of(folder), read_description(folder)
    try:
        layout = Layout(
            folder,
            ModelId(**stored["model"]),
            migrated=migrated,
            upgrade=UnderWay.read(stored["upgrade"]) if stored["format"] == UPGRADING else None,
            stamp=stamp,
            store=StorePlace(**stored["store"]) if stored["format"] >= FORMAT else EMBEDDED,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(folder, error) from error
    if cluster is not None:
        _follow_cluster(layout, cluster)
    if compact and not layout.store.compact:
        raise GalleryError(
            f"gallery {folder} was made without --compact, and stays so; index the images into a "
            "new gallery with it"
        )
    if model is None:
        if sha256 is not None and sha256.lower() != layout.model.sha256:
            raise _mismatch(layout, "yours", sha256.lower())
        return layout
    path = find_model(model, sha256)
    if file_sha256(path) == layout.model.sha256:
        return layout
    other = ModelId.of(path)
    if (other.space, other.dim) != (layout.model.space, layout.model.dim):
        raise _mismatch(layout, model, other.sha256)
    return replace(layout, substitute=path)


def _follow_cluster(layout: Layout, config: Path) -> None:
    if not layout.store.elsewhere:
        raise GalleryError(
            f"gallery {layout.folder} keeps its vectors in its folder; "
            f"move them: glocal move {layout.folder} {config}"
        )
    load("store", layout.store.kind).place(layout.folder, config, layout.store)


def require_embedded(layout: Layout) -> None:
    """Make sure that the vectors lie in the gallery's folder.

    Raises:
        GalleryError: they do not.
    """
    if layout.store.elsewhere:
        raise GalleryError(
            f"gallery {layout.folder} keeps its vectors in a cluster, where it cannot be upgraded "
            f"yet; move them back first: glocal move {layout.folder} --back"
        )


def require_settled(layout: Layout) -> None:
    """Make sure that no upgrade is under way.

    Raises:
        GalleryError: one is.
    """
    if layout.upgrade is not None:
        raise GalleryError(
            f"gallery {layout.folder} is being upgraded from {layout.upgrade.old} to "
            f"{layout.model}; finish that first: glocal upgrade, or return: glocal upgrade --back"
        )


def stamp_of(folder: Path) -> Stamp:
    """Numbers that are others as soon as another ``gallery.json`` is there.

    Raises:
        GalleryMissingError: there is none, as when the folder was moved while it was in use.
        GalleryError: it cannot be looked at.
    """
    try:
        found = (folder / "gallery.json").stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GalleryMissingError(
            f"the gallery at {folder} is gone: its folder was moved, deleted or unmounted; bring "
            "it back, or open it where it is now"
        ) from error
    except OSError as error:
        raise GalleryError(f"the gallery at {folder} cannot be read: {error.strerror}") from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def _mismatch(layout: Layout, name: str, sha256: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"the vectors of gallery {layout.folder} were made by {layout.model} "
        f"({layout.model.sha256[:12]}), and {name} ({sha256[:12]}) is another: "
        "their vectors cannot be compared; leave --model out, or index the images into "
        "another gallery"
    )


def read_description(folder: Path) -> dict[str, Any]:
    """The content of ``gallery.json``.

    Raises:
        GalleryFormatError: it is of a format that this version does not know.
        GalleryDamagedError: it cannot be read.
    """
    try:
        stored = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
        version = int(stored["format"])
        newer = ""
        if version > UPGRADING:
            newer = f"has format {version}, and this glocal reads up to {UPGRADING}"
        elif version >= FORMAT:
            kind, made = stored["store"]["kind"], int(stored["store"]["version"])
            if made > (known := STORES.get(kind, 0)):
                newer = f"has a {kind} store of version {made}, and this glocal reads up to {known}"
        if newer:
            raise GalleryFormatError(
                f"gallery {folder} was written by {stored.get('written_by', 'a newer glocal')} and "
                f"{newer}; upgrade it: {install_command('--upgrade', 'glocal')}"
            )
        if version < 1:
            raise GalleryFormatError(
                f"gallery {folder} has format {version}, which was never released; "
                "delete its folder and index the images again"
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, GalleryError):
            raise
        raise _unreadable(folder, error) from error
    return dict(stored)


def _unreadable(folder: Path, error: Exception) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"{folder / 'gallery.json'} cannot be read ({error}); "
        "delete the gallery's folder and index again"
    )


def write_description(
    folder: Path,
    model: ModelId,
    store: StorePlace,
    upgrade: UnderWay | None = None,
) -> None:
    """Write ``gallery.json``: from then on the folder is a gallery of this format."""
    described: dict[str, Any] = {
        "format": UPGRADING if upgrade else FORMAT,
        "store": {name: value for name, value in asdict(store).items() if value != ""},
        "written_by": f"glocal {__version__}",
        "model": asdict(model),
    }
    if upgrade:
        described["upgrade"] = asdict(upgrade)
    replace_file(folder / "gallery.json", (json.dumps(described, indent=2) + "\n").encode())


def _create(
    folder: Path,
    model: str | None,
    sha256: str | None,
    timeout: float,
    cluster: Path | None,
    *,
    compact: bool,
) -> None:
    source = find_model(model or DEFAULT_MODEL, sha256)
    made = ModelId.of(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = {"write.lock", ".DS_Store"}
        foreign = [p.name for p in folder.iterdir() if p.name not in ours]
    except OSError as error:
        raise GalleryError(f"no gallery can be made at {folder}: {error.strerror}") from error
    begun = ("model-", ".model.", ".gallery.json.", "cluster.toml", ".cluster.toml.")
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
    with locked(folder / "write.lock", f"gallery {folder} (being made)", timeout):
        if (folder / "gallery.json").exists():
            return  # another process was quicker
        layout = Layout(folder, made)
        layout.require_space()
        place = StorePlace(version=COMPACT if compact else NEW)
        if cluster is not None:
            place = load("store", "milvus").place(folder, cluster, version=place.version)
        copy_encoder(source, layout.model_file)
        write_description(folder, made, place)


def copy_encoder(source: Path, target: Path) -> None:
    """Copy an encoder's file into a gallery's folder, and its twin in int8 before it.

    Bundled twins are left where they are: each glocal has those of its models.
    """
    card = read_card(source)
    twin = None if card is None else find_twin(source, card)
    if twin is not None and twin.path.parent != BUNDLED:
        copy_model(twin.path, twin_path(target))
    copy_model(source, target)


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's file into a gallery's folder, whole or not at all."""
    fresh = target.parent / f".model.{os.getpid()}"
    with explained(target):
        try:
            shutil.copyfile(source, fresh)
            with fresh.open("r+b") as file:
                sync(file.fileno())
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    sync_folder(target.parent)
