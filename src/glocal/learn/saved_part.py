"""A trained part as one file: what it was made with, and its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from glocal.errors import LearnError
from glocal.learn import checkpoint

Made = TypeVar("Made", bound=nn.Module)


def save_part(module: nn.Module, path: Path) -> None:
    """Write a module that has a `name` and the `settings` that its class takes.

    Raises:
        DiskFullError: the file cannot be written.
    """
    state = {"name": module.name, "settings": module.settings, "model": module.state_dict()}
    checkpoint.save(path, state)


def load_part(made: type[Made], path: Path) -> Made:
    """Read what `save_part` wrote, in evaluation mode.

    Args:
        made: the class that it is of.
        path: the file.

    Raises:
        LearnError: it is missing, damaged, or of another class.
    """
    state = checkpoint.load(path)
    name = getattr(made, "name", made.__name__)
    if state.get("name") != name:
        raise LearnError(
            f"{path} holds {str(state.get('name'))[:80]!r}, not {name!r}; give a file that "
            f"save_part wrote of {made.__name__}"
        )
    try:
        module = made(**state["settings"])
        module.load_state_dict(state["model"])
    except (TypeError, RuntimeError, KeyError, AttributeError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise LearnError(f"{path} does not fit this version of {name!r}: {reason}") from error
    return module.eval()
