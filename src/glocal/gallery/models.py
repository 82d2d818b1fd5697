"""What a gallery describes images with: its model, its detector of local features, its verifier."""

from __future__ import annotations

import threading

from glocal.encoders import OWN, Detector, EncoderDetector, OnnxEncoder, open_detector
from glocal.errors import ModelMismatchError
from glocal.gallery.ahead import worker_count
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout
from glocal.gallery.verifier import Verifier
from glocal.ranking.calibration import calibration_for

_STATE = "detector"


class Models:
    """Each is opened when it is first needed; safe to call from many threads.

    Args:
        layout: of the gallery.
        catalog: the gallery's, which notes the detector that its local features are of.
        side_by_side: whether images are always encoded side by side, see `encoder`.
    """

    def __init__(self, layout: Layout, catalog: Catalog, *, side_by_side: bool = False) -> None:
        self._layout = layout
        self._catalog = catalog
        self._side_by_side = side_by_side
        self._opening = threading.Lock()
        self._encoders: dict[bool, OnnxEncoder] = {}
        self._detectors: dict[tuple[str, bool], Detector] = {}

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
                workers = worker_count()
                self._encoders[side_by_side] = OnnxEncoder(
                    self._layout.substitute or self._layout.model_file,
                    threads=1 if side_by_side else workers,
                    sessions=workers if side_by_side else 1,
                )
            return self._encoders[side_by_side]

    @property
    def detector_name(self) -> str:
        """Name of the detector that found the gallery's local features, of `glocal.registry`."""
        return self._catalog.get_state(_STATE) or OWN

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

    def verifier(self) -> Verifier | None:
        """For searches; `None` where the detector's local features were never calibrated."""
        detector = self.detector()
        calibration = calibration_for(detector.name)
        return None if calibration is None else Verifier(self._catalog, detector, calibration)

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
        if known is None and self._catalog.counts()["images"]:
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

    def change_detector(self, name: str) -> None:
        """Remove all local features if they are of another detector.

        Raises:
            PartError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
        """
        open_detector(name, self.encoder())
        with self._catalog.change():
            if name != self.detector_name:
                self._catalog.drop_local_features()
                self._catalog.set_state(_STATE, name)
