"""What a gallery looks at images with: model, detector of local features, second look."""

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
    """

    def __init__(self, layout: Layout, catalog: Catalog) -> None:
        self._layout = layout
        self._catalog = catalog
        self._opening = threading.Lock()
        self._encoders: dict[bool, OnnxEncoder] = {}
        self._detectors: dict[tuple[str, bool], Detector] = {}

    def encoder(self, *, alone: bool) -> OnnxEncoder:
        """The gallery's model.

        Args:
            alone: whether one image may use all cores, or several are encoded side by side.

        Raises:
            ModelError: the gallery's copy is damaged.
        """
        with self._opening:
            if alone not in self._encoders:
                workers = worker_count()
                self._encoders[alone] = OnnxEncoder(
                    self._layout.model_file,
                    threads=workers if alone else 1,
                    sessions=1 if alone else workers,
                )
            return self._encoders[alone]

    @property
    def detector_name(self) -> str:
        """Name of the detector that found the gallery's local features, of `glocal.registry`."""
        return self._catalog.get_state(_STATE) or OWN

    def detector(self, *, alone: bool) -> Detector:
        """The gallery's detector of local features; see `encoder`."""
        name, encoder = self.detector_name, self.encoder(alone=alone)
        with self._opening:
            key = name, alone
            if key not in self._detectors:
                threads = worker_count() if alone else 1
                self._detectors[key] = open_detector(name, encoder, threads=threads)
            return self._detectors[key]

    def verifier(self) -> Verifier | None:
        """For searches; None where nobody has measured what the detector's parts are worth."""
        detector = self.detector(alone=True)
        calibration = calibration_for(detector.name)
        return None if calibration is None else Verifier(self._catalog, detector, calibration)

    def settle(self, wanted: str | None) -> None:
        """Decide which detector a gallery without images has; inside a change of the gallery.

        Args:
            wanted: a name, or None for the model's own parts, which cost nothing more, where these
                were calibrated, and otherwise for XFeat's, which go with every model.

        Raises:
            ModelMismatchError: the gallery's parts are of another detector than the one wanted.
            PartError: there is no detector of that name.
        """
        known = self._catalog.get_state(_STATE)
        if known is None and self._catalog.counts()["images"]:
            known = OWN  # before there was a choice
        if known is not None and wanted not in (None, known):
            raise ModelMismatchError(
                f"the local features of gallery {self._layout.folder} are {known}'s, not {wanted}'s; "
                f"change them all: glocal index --refresh --detector {wanted}"
            )
        if known is None:
            encoder = self.encoder(alone=True)
            own = calibration_for(EncoderDetector(encoder).name) is not None
            chosen = wanted or (OWN if own else "xfeat")
            open_detector(chosen, encoder)
            self._catalog.set_state(_STATE, chosen)

    def change_detector(self, name: str) -> None:
        """Give up all local features if they are of another detector; inside a change of the gallery.

        Raises:
            PartError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
        """
        open_detector(name, self.encoder(alone=True))
        if name != self.detector_name:
            with self._catalog.change():
                self._catalog.drop_local_features()  # first: then no part is ever taken for another's
            self._catalog.set_state(_STATE, name)
