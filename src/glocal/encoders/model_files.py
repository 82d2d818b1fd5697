"""Find a model's file by a bundled model's name, a path or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import OnnxEncoder
from glocal.encoders.precision import BUNDLED, SUFFIX, Precision
from glocal.errors import MissingExtraError, ModelError
from glocal.registry import install_command

__all__ = ["DEFAULT_MODEL", "bundled_models", "file_sha256", "find_model", "load_encoder"]

DEFAULT_MODEL = "glocal-lite0"
_HUB_FILE = "model.onnx"
_HUB_NAME = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<file>[\w./-]+\.onnx))?(?:@(?P<rev>[\w./-]+))?"
)


def bundled_models() -> dict[str, Path]:
    """The files of the models that come with glocal, by name."""
    found = sorted(BUNDLED.glob("*.onnx"), key=lambda path: path.stem)
    return {path.stem: path for path in found if not path.name.endswith(SUFFIX)}


def find_model(spec: str, sha256: str | None = None) -> Path:
    """Find the file of a model.

    Args:
        spec: The name of a bundled model; the path of an ``.onnx`` file; or a hub name,
            ``OWNER/NAME[:FILE.onnx][@REVISION]``, which is downloaded once and kept.
        sha256: The SHA-256 that the file must have, in hexadecimal.

    Raises:
        ModelError: There is no such model, or it has another hash.
        MissingExtraError: A hub name needs the extra ``hub``.
    """
    path = _locate(spec)
    if sha256 is not None and file_sha256(path) != sha256.lower():
        raise ModelError(
            f"model {spec} has the SHA-256 {file_sha256(path)}, not {sha256.lower()}: "
            "it is damaged or another model; download it again or correct the hash"
        )
    return path


def _locate(spec: str) -> Path:
    bundled = bundled_models()
    if spec in bundled:
        return bundled[spec]
    path = Path(spec).expanduser()
    if path.is_file():
        return path
    if path.suffix != ".onnx" or ":" in spec:
        match = _HUB_NAME.fullmatch(spec)
        if match:
            return _download(match["repo"], match["file"] or _HUB_FILE, match["rev"])
    raise ModelError(
        f"there is no model {spec!r}: give a file, a hub name OWNER/NAME or one of "
        f"{', '.join(bundled)}"
    )


def _download(repository: str, file: str, revision: str | None) -> Path:
    try:
        import huggingface_hub  # an extra
    except ImportError as error:
        raise MissingExtraError(
            f"model {repository} has to be downloaded from the hub, which needs huggingface_hub: "
            f"{install_command('glocal[hub]')}"
        ) from error
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # network, names, disk: its errors share no base
        reason = str(error).strip().splitlines()[0][:300]
        raise ModelError(f"model {repository} ({file}) cannot be downloaded: {reason}") from error


def load_encoder(
    spec: str | Path = DEFAULT_MODEL,
    *,
    sha256: str | None = None,
    threads: int = 1,
    sessions: int = 1,
    stitch: str | None = None,
    budget_ms: float | None = None,
    precision: Precision | None = None,
) -> OnnxEncoder:
    """Load a model by name, path or hub name; see `find_model` and `OnnxEncoder`.

    Examples:
        >>> from glocal.encoders import load_encoder
        >>> from glocal.images import load
        >>> encoder = load_encoder()
        >>> photo, crop = encoder.encode([load("query.jpg").array, load("crop.jpg").array])
        >>> photo.vector.shape == (encoder.dim,)
        True
        >>> bool(photo.vector @ crop.vector > 0.5)
        True
    """
    return OnnxEncoder(
        find_model(str(spec), sha256),
        threads=threads,
        sessions=sessions,
        stitch=stitch,
        budget_ms=budget_ms,
        precision=precision,
    )
