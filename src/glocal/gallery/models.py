"""What a gallery describes images with: its model, its detector of local features, its verifier."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from glocal.encoders import OWN, Detector, EncoderDetector, OnnxEncoder, open_detector
from glocal.errors import MissingExtraError, ModelError, ModelMismatchError, PartError
from glocal.gallery.ahead import worker_count
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout, require_settled
from glocal.gallery.rows import RowTable
from glocal.gallery.two_verifiers import TwoVerifiers
from glocal.gallery.verifier import Verifier
from glocal.ranking.calibration import calibration_for

_STATE = "detector"
_log = logging.getLogger(__name__)


class Models:
    """Each is opened when it is first needed; safe to call from many threads.

    Args:
        layout: of the gallery.
        catalog: the gallery's, which notes the detector that its local features are of.
        side_by_side: whether images are always encoded side by side, see `encoder`.
        budget_ms: milliseconds that the model may take for an image, see `OnnxEncoder`.
    """

    def __init__(
        self,
        layout: Layout,
        catalog: Catalog,
        *,
        side_by_side: bool = False,
        budget_ms: float | None = None,
    ) -> None:
        self._layout = layout
        self._catalog = catalog
        self._side_by_side = side_by_side
        self._budget_ms = budget_ms
        self._opening = threading.Lock()
        self._encoders: dict[bool, OnnxEncoder] = {}
        self._detectors: dict[tuple[str, bool], Detector] = {}
        self._old_encoders: dict[bool, OnnxEncoder] = {}
        self._old_detector: Detector | None = None
        self._space = layout.model.space

    def encoder(self, *, side_by_side: bool = False) -> OnnxEncoder:
        """The gallery's model.

        Args:
            side_by_side: several images are encoded at a time, each by one core; otherwise one
                image may use all of them.

        Raises:
            ModelError: the gallery's copy is damaged.
        """
        side_by_side |= self._side_by_side
        with self._opening:
            if side_by_side not in self._encoders:
                self._encoders[side_by_side] = self._opened(
                    self._layout.encoder_file, side_by_side, self._budget_ms
                )
            return self._encoders[side_by_side]

    def _opened(
        self, path: Path, side_by_side: bool, budget_ms: float | None = None
    ) -> OnnxEncoder:
        workers = worker_count()
        return OnnxEncoder(
            path,
            threads=1 if side_by_side else workers,
            sessions=workers if side_by_side else 1,
            budget_ms=budget_ms,
        )

    @property
    def detector_name(self) -> str:
        """Name of the detector that finds the gallery's local features, of `glocal.registry`."""
        upgrade = self._layout.upgrade
        return upgrade.detector if upgrade else self._catalog.get_state(_STATE) or OWN

    @property
    def detectors_differ(self) -> bool:
        """Whether local features are of two detectors, as an upgrade under way leaves them."""
        return self._layout.upgrade is not None and self._layout.upgrade.replaces_local_features

    def detector(self, *, side_by_side: bool = False) -> Detector:
        """The gallery's detector of local features; see `encoder`."""
        side_by_side |= self._side_by_side
        name, encoder = self.detector_name, self.encoder(side_by_side=side_by_side)
        with self._opening:
            key = name, side_by_side
            if key not in self._detectors:
                threads = 1 if side_by_side else worker_count()
                self._detectors[key] = open_detector(name, encoder, threads=threads)
            return self._detectors[key]

    def old_encoder(self, *, side_by_side: bool = False) -> OnnxEncoder:
        """The model that an upgrade is leaving.

        Raises:
            ModelError: the gallery's copy is damaged or gone.
        """
        upgrade = self._layout.upgrade
        assert upgrade is not None  # noqa: S101 - asked for only then
        side_by_side |= self._side_by_side
        with self._opening:
            if side_by_side not in self._old_encoders:
                self._old_encoders[side_by_side] = self._opened(
                    self._layout.copy_of(upgrade.old), side_by_side
                )
            return self._old_encoders[side_by_side]

    def verifier(self) -> Verifier | TwoVerifiers | None:
        """For searches; `None` where the detector's local features were never calibrated."""
        new = self._verifying(self.detector())
        if new is None or not self.detectors_differ:
            return new
        return TwoVerifiers(new, self._old_verifier(), RowTable(self._catalog, self._space))

    def _verifying(self, detector: Detector) -> Verifier | None:
        calibration = calibration_for(detector.name)
        return None if calibration is None else Verifier(self._catalog, detector, calibration)

    def _old_verifier(self) -> Verifier | None:
        upgrade = self._layout.upgrade
        assert upgrade is not None  # noqa: S101 - see `detectors_differ`
        try:
            encoder = self.old_encoder()
            threads = 1 if self._side_by_side else worker_count()
            with self._opening:
                if self._old_detector is None:
                    self._old_detector = open_detector(
                        upgrade.old_detector, encoder, threads=threads
                    )
            return self._verifying(self._old_detector)
        except (ModelError, PartError, MissingExtraError) as error:
            _log.warning("what %s has yet to encode is not verified: %s", self._layout.model, error)
            return None

    def settle(self, wanted: str | None) -> None:
        """Decide which detector a gallery without images has.

        Args:
            wanted: a name, or `None` for the model's own local features, which cost nothing more,
                where these were calibrated, and otherwise for XFeat's, which go with every model.

        Raises:
            ModelMismatchError: the gallery's local features are of another detector.
            PartError: there is no detector of that name.
        """
        known = self._catalog.get_state(_STATE)
        if self._layout.upgrade is not None:
            known = self.detector_name
        if known is None and self._catalog.image_count():
            known = OWN  # before there was a choice
        if known is None:
            encoder = self.encoder()
            own = calibration_for(EncoderDetector(encoder).name) is not None
            chosen = wanted or (OWN if own else "xfeat")
            open_detector(chosen, encoder)
            known = self._catalog.set_state_once(_STATE, chosen)
        if wanted not in (None, known):
            raise ModelMismatchError(
                f"the local features of gallery {self._layout.folder} are {known}'s, "
                f"not {wanted}'s; change them all: glocal index --refresh --detector {wanted}"
            )

    def require(self, name: str) -> None:
        """Make sure that the gallery's local features are of a detector.

        Raises:
            ModelMismatchError: another process has changed it.
        """
        if self.detector_name != name:
            raise ModelMismatchError(
                f"the detector of gallery {self._layout.folder} was changed from {name} to "
                f"{self.detector_name} meanwhile; run the same command again"
            )

    def note_detector(self, name: str) -> None:
        """Note which detector a gallery has when an upgrade has ended, one way or the other."""
        self._catalog.set_state(_STATE, name)

    def change_detector(self, name: str) -> None:
        """Remove all local features if they are of another detector.

        Raises:
            PartError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
            GalleryError: an upgrade is under way.
        """
        require_settled(self._layout)
        open_detector(name, self.encoder())
        with self._catalog.change():
            if name != self.detector_name:
                self._catalog.drop_local_features()
                self._catalog.set_state(_STATE, name)
