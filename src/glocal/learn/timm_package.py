"""Import timm, or say which package has to be installed for it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from glocal.errors import MissingExtraError


def import_timm(wanted_by: str) -> Any:
    """Import the module timm.

    timm itself imports torchvision, so either can be the one that is missing, and a torchvision
    that was built for another release of torch fails while it is imported.

    Args:
        wanted_by: What needs timm, as an error's text names it, such as ``timm:resnet18``.

    Raises:
        MissingExtraError: timm, or a package that timm imports, is not installed or cannot be
            loaded. The text names that package and the command that installs it.
    """
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        missing = (error.name or "timm").partition(".")[0]
        raise MissingExtraError(
            f"{wanted_by} needs the package {missing}, which is not installed. "
            f"Install it: pip install {missing}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingExtraError(
            f"{wanted_by} needs timm, which could not be imported: {error}. Install the release "
            "of torchvision that belongs to the installed torch: pip install torch torchvision"
        ) from error
