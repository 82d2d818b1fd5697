"""A gallery is filled: images, local features, regions and texts come and go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from glocal.encoders import NO_REGIONS
from glocal.errors import ImageError, QueryError
from glocal.gallery import reading
from glocal.gallery.base import GalleryBase, absolute
from glocal.gallery.completing import complete, keep_local_features, keep_regions
from glocal.gallery.importing import ImportReport
from glocal.gallery.indexing import build_graphs
from glocal.gallery.keep import keep_image
from glocal.gallery.layout import require_settled
from glocal.gallery.leaving_out import LeftOut, check_globs
from glocal.gallery.plan import Plan
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.results import Failure, IndexReport, TextModelInfo
from glocal.gallery.table_source import TableSource
from glocal.gallery.text_model import ANCHORS, add_text_model, read_text_model, remove_text_model
from glocal.gallery.texts import Texts
from glocal.gallery.walk import kind_of
from glocal.images.url_paths import UrlPath

if TYPE_CHECKING:
    from glocal.images import ImageSource


class Filling(GalleryBase):
    """The part of a `Gallery` that adds and removes."""

    def add(
        self,
        *sources: ImageSource,
        name: str | None = None,
        exclude: Sequence[str] | None = None,
        listen: Callable[[Progress], None] = quiet,
    ) -> IndexReport:
        """Add images: folders with all below them, files, or images that have no file.

        Folders and files stay where they are; what was added is remembered for `refresh`. Other
        images (bytes, file objects, PIL images, arrays) are kept in the gallery's folder.

        >>> import glocal
        >>> with glocal.open("added") as gallery:
        ...     first = gallery.add("Pictures")
        ...     again = gallery.add("Pictures")
        >>> first.added, again.added, again.unchanged
        (8, 0, 8)

        Args:
            sources: paths of folders and files, URLs of them (``s3://bucket/photos``, see
                `glocal.images.url_paths`), and images.
            name: for one image without a file: what its file in the gallery is called.
            exclude: patterns of files and folders that are left out, kept with each folder that is
                added and replacing those that it had; `None`: those that it had. One without a
                slash is compared with names, one with a slash with paths below the folder.
            listen: told the progress.

        Raises:
            QueryError: a pattern cannot lie below a folder, or a URL has something secret in it.
            ImageError: an image without a file is none. Files that are none are reported instead.
            DiskFullError: no space; what was done so far is kept.
            GalleryLockedError: another process kept the gallery locked for too long.
        """
        self._require_open()
        globs = None if exclude is None else check_globs(exclude)
        self._models.settle(self._detector)
        self._regions.settle(self._wanted_regions, self.encoder)
        roots = [
            absolute(source)
            if isinstance(source, str | os.PathLike)
            else keep_image(self._layout.kept, source, name, self._limits)
            for source in sources
        ]
        remembered = [r for r in roots if r.parent != self._layout.kept and _to_remember(r)]
        with self._catalog.change():
            self._catalog.let_in(roots)
            for root in remembered:
                self._catalog.add_root(root, globs)
        return self._changes.run(lambda planner: planner.plan(roots), listen)

    def import_table(
        self,
        table: str | os.PathLike[str],
        *folders: str | os.PathLike[str],
        moved_from: str | os.PathLike[str] | None = None,
        space: str | None = None,
        bridge: str | os.PathLike[str] | None = None,
        listen: Callable[[Progress], None] = quiet,
    ) -> ImportReport:
        """Add images with the vectors that a table of embeddings has of them: the way back.

        Nothing is encoded. A row is taken whose file is there and unchanged, or whose image the
        table has, which is kept in the gallery's folder; images that the gallery has stay as they
        are, so that an import that was stopped goes on when it is run again. Local features and
        regions are for `add_local_features` and `add_regions`.

        Args:
            table: as `Gallery.export` writes it, or another with the columns of Major TOM; see
                `glocal.gallery.table_source`.
            folders: in which the images lie; remembered for `refresh`, as those of `add` are.
                Files elsewhere are refused, unless they lie in a folder that was added before.
            moved_from: where the folder, which is one, lay when the table was made.
            space: the vector space of a table that does not say it.
            bridge: file of a bridge that brings its vectors into the gallery's space.
            listen: told the progress.

        Raises:
            QueryError: one of `folders` is none, or `moved_from` is given with several or none.
            TableError: the table cannot be read, or does not say of which space it is.
            ModelMismatchError: it is of another space, or the bridge leads to or from another.
            BridgeError: the bridge cannot be read, or the vectors do not fit it.
            GalleryError: an upgrade is under way.
            DiskFullError: no space; what was done so far is kept.
            MissingExtraError: the extra ``tables`` is not installed.
        """
        self._require_open()
        require_settled(self._layout)
        roots = [absolute(Path(folder)) for folder in folders]
        for root in roots:
            if not root.is_dir():
                raise QueryError(f"there is no folder {root}; name one that has the images")
        moved = None
        if moved_from is not None:
            if len(roots) != 1:
                raise QueryError(
                    f"images have moved to one folder, and {len(roots)} are named; name the one"
                )
            moved = absolute(Path(moved_from)), roots[0]
        source = TableSource.open(table, self._context, space=space, bridge=bridge, moved=moved)
        self._models.settle(self._detector)
        self._regions.settle(self._wanted_regions, self.encoder)
        with self._catalog.change():
            self._catalog.let_in(roots)
            for root in roots:
                self._catalog.add_root(root)
        return self._changes.import_table(source, listen)

    def refresh(self, listen: Callable[[Progress], None] = quiet) -> IndexReport:
        """Look again at everything that was ever added: see `add`."""
        self._require_open()
        return self._changes.refresh(listen)

    def update(
        self, paths: Iterable[Path], listen: Callable[[Progress], None] = quiet
    ) -> IndexReport:
        """Look only at paths that are known to have changed.

        Those not there are removed, but for what was itself added (or lies below it): see
        `IndexReport.unreachable`.
        """
        changed = [absolute(path) for path in paths]
        return self._changes.run(lambda planner: planner.changes(changed), listen)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Remove files, and folders with all below them, from the gallery.

        Nothing on disk is touched but the files of images that were added without one.

        Returns:
            How many files were removed. They stay out, also when a folder above is indexed again,
            until one of `paths` is added again itself.

        Raises:
            QueryError: the gallery has nothing at one of the paths; nothing is removed then.
        """
        targets = [absolute(path) for path in paths]
        planner = self._changes.planner(quiet)
        plans = {target: planner.known_below(target) for target in targets}
        roots = set(self._catalog.roots())
        for target, plan in plans.items():
            if not plan.gone and target not in roots:
                raise QueryError(f"the gallery has nothing at {target}")
        whole = Plan(gone=sorted({gone for plan in plans.values() for gone in plan.gone}))
        # First, lest the next run finds them again: a file that is gone is removed anyway.
        kept = self._catalog.find_folder(self._layout.kept)
        for number, name in whole.gone:
            if number == kept:
                (self._layout.kept / os.fsdecode(name)).unlink(missing_ok=True)
        with self._catalog.change():
            for target in targets:
                self._catalog.drop_root(target)
                if target.parent != self._layout.kept:
                    self._catalog.leave_out(target)
        return self._changes.carry_out(whole, quiet).removed

    def let_in(self, *paths: str | os.PathLike[str]) -> None:
        """Let the next index run find again what was removed by hand; `add` does so by itself."""
        self._catalog.let_in(absolute(path) for path in paths)

    def left_out(self) -> LeftOut:
        """What index runs pass over, beside what `glocal.gallery.leaving_out.USUALLY` says."""
        return self._catalog.left_out()

    def roots(self) -> list[Path]:
        """What was asked to be indexed, and where images without a file are kept."""
        return [*self._catalog.roots(), self._layout.kept]

    def failures(self) -> list[Failure]:
        """The files that could not be read as images, and why."""
        return [Failure(path, reason) for path, reason in self._catalog.failures()]

    def add_local_features(
        self, detector: str | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Find local features for the images that have none; the files are read again for it.

        Args:
            detector: change to this one first, which removes the local features of another.
            listen: told the progress.

        Returns:
            How many images were given local features.

        Raises:
            PartError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
        """
        self._require_open()
        require_settled(self._layout)
        if detector is not None:
            self._models.change_detector(detector)
        return complete(
            self._catalog,
            self._catalog.without_local_features(),
            self._changes.describer(),
            keep_local_features(self._catalog, self._layout.store.descriptors),
            self._changes.require(),
            listen,
        )

    def add_regions(
        self, choice: str | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Add the vectors of regions of the images that have none; the files are read again for it.

        Args:
            choice: change to these first, which removes others: ``none``, ``coarse`` or ``fine``.
                `None`: those that the gallery has; coarse where it was never decided.
            listen: told the progress.

        Returns:
            How many images were given regions.

        Raises:
            ModelError: regions are wanted, and the model has none.
            PartError: there are no regions of that name.
        """
        self._require_open()
        require_settled(self._layout)
        if choice is not None:
            self._regions.change(choice, self.encoder)
        self._regions.settle(None, self.encoder)
        done = self._complete_regions(self._regions.missing(), listen)
        build_graphs(self._context, listen)
        return done

    def _complete_regions(self, missing: Sequence[UUID], listen: Callable[[Progress], None]) -> int:
        describer, store = self._changes.describer(), self._regions.store
        if store is None or describer.regions is None:
            return 0
        return complete(
            self._catalog,
            missing,
            replace(describer, detector=None),
            keep_regions(self._catalog, store),
            self._changes.require(),
            listen,
        )

    def read_texts(
        self, *, ocr: bool | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Read captions that were never read and, where the gallery wants them, words in images.

        Args:
            ocr: from now on read the words in images, also in later runs, or drop them. `None`:
                as was decided before; otherwise they are not read.
            listen: told the progress.

        Returns:
            How many texts were read.

        Raises:
            MissingExtraError: words in images are wanted, and the extra ``ocr`` is not installed.
        """
        self._require_open()
        if ocr is not None:
            reading.choose(self._catalog, wanted=ocr)
        done = reading.read_captions(self._catalog, self._limits, listen)
        return done + reading.read_missing(self._catalog, self._limits, listen)

    def without_captions(self) -> int:
        """How many images there are whose captions were never read; see `read_texts`."""
        return len(Texts(self._catalog).missing("caption"))

    def without_regions(self) -> int:
        """How many images have no regions, unless the gallery is to have none."""
        if self._regions.choice == NO_REGIONS:
            return 0
        store = self._regions.store
        images = self._catalog.image_count()
        return images if store is None else images - store.status().vectors

    def add_text_model(
        self,
        model: str | os.PathLike[str],
        *,
        anchors: int = ANCHORS,
        listen: Callable[[Progress], None] = quiet,
    ) -> TextModelInfo:
        """Let words find what they mean, by an image-text model such as CLIP.

        Some images are encoded by its image side, to fit a linear map from the gallery's vectors to
        its space; no image is indexed again. The map and the text side are kept in the gallery's
        folder. A model that was added before is replaced.

        Args:
            model: a folder that has both sides as ONNX files, or one of these files, or a hub name;
                see `glocal.encoders.image_text_files`.
            anchors: how many images are encoded; where there are fewer, each is encoded in up to
                three views, by the gallery's model too.
            listen: told the progress.

        Raises:
            ModelError: the model cannot be found or run.
            MissingExtraError: the extra ``text`` is not installed.
            GalleryError: too few images can be read, or an upgrade is under way.
            DiskFullError: there is too little space.
        """
        self._require_writable()
        return add_text_model(
            self._now().context,
            os.fspath(model),
            listen,
            encoder=lambda: self.encoder,
            anchors=anchors,
            timeout=self._timeout,
        )

    def remove_text_model(self) -> bool:
        """Remove what `add_text_model` has added; whether there was anything."""
        self._require_open()
        return remove_text_model(self._layout, timeout=self._timeout)

    def text_model(self) -> TextModelInfo | None:
        """The image-text model by which words find what they mean, if the gallery has one."""
        return read_text_model(self._layout)


def _to_remember(root: Path) -> bool:
    """Whether there is something at what was asked to be indexed."""
    if isinstance(root, UrlPath):
        root.require_open()
    try:
        return kind_of(root) is not None
    except ImageError:  # the run says why; a server that is away now comes back
        return True
