"""The hash that tells one model file from another."""

from __future__ import annotations

import hashlib
from pathlib import Path

from glocal.errors import ModelError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}") from error
