"""Import timm, or say which package has to be installed for it."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from glocal.errors import MissingExtraError

_DECLARED: list[Any] = []  # a declaration lives as long as its object


def import_timm(wanted_by: str) -> Any:
    """Import the module timm.

    timm itself imports torchvision, so either can be the one that is missing. What timm uses of
    torchvision is Python alone; PyPI's torchvision for Linux is built for CUDA, and beside a torch
    for the CPU its compiled operators do not load. Its import then fails only because two of them
    are not declared, so they are declared here, and no code of timm ever calls them.

    Args:
        wanted_by: What needs timm, as an error's text names it, such as ``timm:resnet18``.

    Raises:
        MissingExtraError: timm, or a package that timm imports, is not installed or cannot be
            loaded. The text names that package and the command that installs it.
    """
    try:
        _import_torchvision()
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


def _import_torchvision() -> None:
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        from torch.library import Library

        _forget("torchvision")
        if not _DECLARED:
            declared = Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                declared.define(
                    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            _DECLARED.append(declared)
        import_module("torchvision")


def _forget(package: str) -> None:
    """Forget the modules of a package whose import has failed half-way."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
