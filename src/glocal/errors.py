"""The errors glocal raises; each also subclasses the builtin a caller would expect."""

from __future__ import annotations


class GlocalError(Exception):
    """Base of every error glocal raises on purpose: its text is fit to show to a person."""


class ImageError(GlocalError, ValueError):
    """An image cannot be used: empty, truncated, too large, no image at all."""


class ImageMissingError(ImageError, FileNotFoundError):
    """The image's file is not there, or is no longer there."""


class ModelError(GlocalError, ValueError):
    """A model file is missing, damaged, or not one that glocal can run."""


class LearnError(GlocalError, ValueError):
    """Training is asked for something impossible: an unknown part, shapes or labels that misfit."""


class MissingExtraError(GlocalError, ImportError):
    """An optional package is needed; the text has the command that installs it."""


class QueryError(GlocalError, ValueError):
    """A search asks for something impossible: a bad region, filter or limit."""


class GalleryError(GlocalError, RuntimeError):
    """A gallery cannot be used as asked."""


class GalleryMissingError(GalleryError, FileNotFoundError):
    """There is no gallery where one was asked for."""


class GalleryFormatError(GalleryError):
    """The gallery's folder is of a format this version of glocal does not read."""


class GalleryLockedError(GalleryError, BlockingIOError):
    """Another process holds what is needed; the text says which."""


class StoreUnavailableError(GalleryError, ConnectionError):
    """A store that lies elsewhere does not answer; try again when it is back."""


class GalleryDamagedError(GalleryError):
    """The gallery's files contradict each other; the text says how to repair them."""


class ModelMismatchError(GalleryError, ValueError):
    """The vectors of a gallery and of a query were made by different models."""


class DiskFullError(GalleryError, OSError):
    """Too little space is left to go on; what was written before is whole."""


class EvaluationError(GlocalError, ValueError):
    """A metric was given things that do not fit together, or a ground truth it cannot read."""


class RankingError(GlocalError, ValueError):
    """Re-ranking or verification was given arrays or settings that do not fit together."""
