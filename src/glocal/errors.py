"""The errors that glocal raises; each also subclasses the builtin that fits."""

from __future__ import annotations


class GlocalError(Exception):
    """Base class of the errors that glocal raises; the text is meant for people."""


class ImageError(GlocalError, ValueError):
    """A file or value cannot be used as an image: it is empty, truncated, too large or no image."""


class ImageMissingError(ImageError, FileNotFoundError):
    """The file of an image does not exist."""


class ModelError(GlocalError, ValueError):
    """A model file is missing, damaged, or not a model that glocal can run."""


class LearnError(GlocalError, ValueError):
    """Training is asked for something impossible: settings, shapes or labels that do not fit."""


class MissingExtraError(GlocalError, ImportError):
    """An optional package is needed; the text has the command of `install_command`."""


def install_command(*requirements: str) -> str:
    """The command that installs requirements such as ``glocal[learn]``, in any shell.

    >>> install_command("glocal[learn]"), install_command("torch", "torchvision")
    ('pip install "glocal[learn]"', 'pip install torch torchvision')
    """
    quoted = (
        name if name.replace("-", "_").isidentifier() else f'"{name}"' for name in requirements
    )
    return f"pip install {' '.join(quoted)}"


class PartError(GlocalError, ValueError):
    """No part has this kind and name, its name is taken, or its row in the registry is wrong."""


class QueryError(GlocalError, ValueError):
    """A search has an invalid argument, such as a region, a condition or a limit."""


class GalleryError(GlocalError, RuntimeError):
    """A gallery cannot be used as asked."""


class GalleryMissingError(GalleryError, FileNotFoundError):
    """There is no gallery in the folder."""


class GalleryFormatError(GalleryError):
    """This version of glocal does not read the format of the gallery's folder."""


class GalleryLockedError(GalleryError, BlockingIOError):
    """Another process used a gallery for longer than the timeout; the text says what for."""


class GalleryMovedError(GalleryLockedError):
    """Another process has moved a gallery's catalogue meanwhile; what was asked can be repeated."""


class StoreUnavailableError(GalleryError, ConnectionError):
    """A store that lies elsewhere does not answer; try again when it is back."""


class GalleryDamagedError(GalleryError):
    """Files of a gallery are damaged or contradict each other; the text says how to repair it."""


class ModelMismatchError(GalleryError, ValueError):
    """Vectors of different vector spaces were to be compared."""


class DiskFullError(GalleryError, OSError):
    """Too little disk space is left to continue; everything written before is intact."""


class EvaluationError(GlocalError, ValueError):
    """The input of an evaluation does not fit together, or a ground truth cannot be read."""


class RankingError(GlocalError, ValueError):
    """Arrays or settings of re-ranking or geometric verification do not fit together."""


class MethodError(GlocalError, ValueError):
    """The catalogue has no such method, or its trial or its stored result cannot be used."""


class AnalysisError(GlocalError, ValueError):
    """Vectors or settings of an analysis do not fit together."""


class BridgeError(GlocalError, ValueError):
    """Vectors do not fit a bridge, or a bridge's file is missing, damaged or of another kind."""


class CompressError(GlocalError, ValueError):
    """A vector or a network cannot be made smaller as asked; the text says why."""


class TableError(GlocalError, ValueError):
    """A table of embeddings cannot be read or written, or does not fit what it is compared with."""


class WorldModelError(GlocalError, ValueError):
    """A world model's file is missing, damaged or of another kind, or a vector does not fit it."""
