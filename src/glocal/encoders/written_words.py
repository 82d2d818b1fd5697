"""Reading the words that stand in an image: PP-OCRv6 (small) through rapidocr, the extra ``ocr``.

The package brings the detector of lines and the reader with it, and neither fetches anything. The
reader knows the letters of languages written in Latin (with accents), Greek, Chinese and Japanese
script; it does not know Cyrillic, Arabic, Hebrew, Indic scripts, Thai and Korean.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import MissingExtraError, ModelError, install_command

READER = "pp-ocrv6-small"
"""Names what reads, with galleries that keep what was read."""

PIXELS = 1_500_000
"""Of an image, at least, so that small print is legible; smaller images are taken as they are."""

MOST_CHARACTERS = 4_000
"""Characters that are kept of one image."""

_FILES = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}


class WordReader:
    """Reads the words in images; any thread may call, and each has a reader of its own.

    Raises:
        MissingExtraError: rapidocr is not installed.
        ModelError: its package lacks a model.
    """

    def __init__(self) -> None:
        try:
            import rapidocr  # only where words are read
        except ImportError as error:
            raise MissingExtraError(
                "reading the words in images needs the package rapidocr, which is not installed; "
                f"run: {install_command('glocal[ocr]')}"
            ) from error
        folder = Path(str(rapidocr.__file__)).parent / "models"
        self._parameters: dict[str, Any] = {
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        for parameter, name in _FILES.items():  # given by path, so that none is ever fetched
            if not (folder / name).is_file():
                raise ModelError(
                    f"this rapidocr has no {name}; install one that brings it: "
                    f"{install_command('glocal[ocr]')}"
                )
            self._parameters[parameter] = str(folder / name)
        self._make = rapidocr.RapidOCR
        self._own = threading.local()

    def read(self, image: NDArray[np.uint8]) -> str:
        """The lines of text in an image, from the top down.

        Args:
            image: ``(h, w, 3)`` uint8 RGB upright.
        """
        if not hasattr(self._own, "reader"):
            self._own.reader = self._make(params=self._parameters)
        found = self._own.reader(np.ascontiguousarray(image[:, :, ::-1]))
        return "\n".join(found.txts or ())[:MOST_CHARACTERS]
