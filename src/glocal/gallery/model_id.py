"""Which model made a gallery's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glocal.encoders import OnnxEncoder
from glocal.encoders.model_files import file_sha256
from glocal.encoders.spaces import space_of


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model a gallery's vectors are of.

    Attributes:
        name: and `version`, from its card.
        version: counts up when the vectors change.
        sha256: of its file, in hexadecimal.
        dim: length of its vectors.
        space: that its vectors are in; they can be compared within it alone.
    """

    name: str
    version: int
    sha256: str
    dim: int
    space: str

    @classmethod
    def of(cls, path: Path) -> ModelId:
        """The model in a file.

        Raises:
            ModelError: it cannot be run.
        """
        card, sha256 = OnnxEncoder(path, precision="float").card, file_sha256(path)
        return cls(card.name, card.version, sha256, card.dim, space_of(card, sha256))

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
