"""A gallery's images are compared with one another, and what people decided is remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from glocal.errors import QueryError
from glocal.gallery.base import GalleryBase, absolute
from glocal.gallery.comparing import Comparing, PairComparison, Sources
from glocal.gallery.decisions import Decisions
from glocal.gallery.duplicate_groups import find_duplicates, identical_groups
from glocal.gallery.duplicates import Level
from glocal.gallery.layout import require_settled
from glocal.gallery.outcomes import Outcomes, rules
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.results import DuplicateGroup, Duplicates
from glocal.gallery.thumbnails import Thumbnails


class Pairing(GalleryBase):
    """The part of a `Gallery` that finds duplicates."""

    def duplicates(
        self,
        level: str = "copy",
        listen: Callable[[Progress], None] = quiet,
        *,
        prefer: Sequence[str | os.PathLike[str]] = (),
        among: Sequence[Sequence[str]] | None = None,
    ) -> Duplicates:
        """Group the files that show the same; nothing on disk or in the gallery is changed.

        Images are compared with their nearest neighbours, pairs verified by their stored local
        features, and what agrees is read from its file and compared in colour: see
        `glocal.gallery.comparing`. Images without local features can be found identical only.
        What is called spare was read once more, and so was the file that stays.

        >>> import glocal
        >>> with glocal.open("compared") as gallery:
        ...     report = gallery.add("Pictures", "query.jpg")
        ...     groups = gallery.duplicates()
        >>> [len(group.images[0].paths) for group in groups]
        [2]

        Args:
            level: ``copy``: identical files and edited, cropped or re-encoded copies; ``object``:
                other images of the same object or place too.
            listen: told the progress.
            prefer: folders whose files are rather kept.
            among: groups that were found before, by their images' ids: only the images of one
                group are compared with one another, as after a decision about them.

        Returns:
            Those with the most bytes to free first.

        Raises:
            QueryError: there is no such level, or the gallery has nothing in a preferred folder.
        """
        if level not in tuple(Level):
            raise QueryError(f"the level is {level!r}; it is one of: {', '.join(Level)}")
        preferred = [self._known_folder(folder) for folder in prefer]
        self._require_one_detector()
        verifier = self._models.verifier()
        calibration = None if verifier is None else verifier.calibration
        apart, chosen = self.decided()
        with self._outcomes() as outcomes:
            return find_duplicates(
                self._catalog,
                self._store(),
                calibration,
                Level(level),
                listen,
                self._limits,
                outcomes,
                prefer=preferred,
                apart=apart,
                chosen=chosen,
                among=None if among is None else [[UUID(hex=i) for i in group] for group in among],
            )

    def _known_folder(self, folder: str | os.PathLike[str]) -> Path:
        """A folder in which the gallery has files, as it spells them."""
        self._require_open()
        path = absolute(folder)
        above_all = any(root.is_relative_to(path) for root in self._catalog.roots())
        if not above_all and self._catalog.find_folder(path) is None:
            raise QueryError(f"the gallery has nothing in a folder {path}, so none is preferred")
        return path

    def _require_one_detector(self) -> None:
        self._require_open()
        if self._models.detectors_differ:
            require_settled(self._layout)

    def _outcomes(self) -> Outcomes:
        rule = f"{rules()} {self._models.detector_name} {self.space}"
        return Outcomes(self._layout.outcomes, rule)

    def identical(
        self, contents: Sequence[UUID], *, prefer: Sequence[Path] = ()
    ) -> list[DuplicateGroup]:
        """The files of images that several files hold, looked at again on disk.

        Args:
            contents: the images, by their content's id; see `Browser.copies`.
            prefer: folders whose files are rather kept.
        """
        return identical_groups(self._catalog, self._limits, contents, prefer)

    def compare(self, first: UUID, second: UUID, sources: Sources) -> PairComparison:
        """Compare two images of the gallery, however alike they are.

        Args:
            first: the one, by its content's id.
            second: the other one.
            sources: gives the pixels of both.
        """
        self._require_one_detector()
        verifier = self._models.verifier()
        small = Thumbnails(self._catalog, self._limits)
        if verifier is None:
            return PairComparison(None, None)
        found = Comparing(
            self._catalog, self._store(), verifier.calibration, Level.OBJECT, quiet, small, sources
        )
        return found.pair(first, second)

    def decisions(self) -> Decisions:
        """What people decided about duplicates, to read and to change."""
        return Decisions(self._layout.decisions)

    def decisions_mark(self) -> int:
        """A number that is another one whenever other decisions stand."""
        if not self._layout.decisions.exists():
            return 0
        with self.decisions() as decisions:
            return decisions.mark()

    def decided(self) -> tuple[frozenset[tuple[UUID, UUID]], frozenset[UUID]]:
        """Pairs of images that are no duplicates, the smaller id first, and images that stay."""
        if not self._layout.decisions.exists():
            return frozenset(), frozenset()
        with self.decisions() as decisions:
            return frozenset(decisions.apart()), decisions.stays()

    @property
    def trash_journal(self) -> Path:
        """The file that notes what was moved to the system's trash."""
        return self._layout.folder / "trash.jsonl"
