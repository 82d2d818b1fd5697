"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from glocal.errors import DiskFullError, LearnError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint completely, or leave the previous one as it was.

    Args:
        path: file to write.
        state: tensors, numbers and strings, in lists and dicts.

    Raises:
        DiskFullError: the file cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        partial.unlink(missing_ok=True)
        raise DiskFullError(
            f"the checkpoint {path} cannot be written: {error}; the previous one is intact: free "
            "some disk space, then run the same command again"
        ) from error


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data; a file that would run code is refused.

    Raises:
        LearnError: the file is missing, damaged, or not a checkpoint.
    """
    if not path.is_file():
        raise LearnError(f"there is no checkpoint {path}; check the path")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise LearnError(f"the checkpoint {path} cannot be read: {reason}") from error
    if not isinstance(state, dict) or "model" not in state or "settings" not in state:
        raise LearnError(
            f"{path} is not a checkpoint of glocal's trainer; use a best.pt or last.pt"
        )
    return state


def load_model(model: torch.nn.Module, state: dict[str, Any], where: str) -> None:
    """Load a checkpoint's weights into a model.

    Args:
        model: model to load them into.
        state: content of the checkpoint.
        where: the checkpoint, as errors should name it.

    Raises:
        LearnError: the weights belong to another model; the text names the first difference.
    """
    theirs, own = state["model"], model.state_dict()
    for name in own.keys() | theirs.keys():
        if name not in theirs or name not in own:
            side = "lacks" if name not in theirs else "also has"
            raise LearnError(f"{where} belongs to another model: it {side} {name}; {_parts(state)}")
        if own[name].shape != theirs[name].shape:
            raise LearnError(
                f"{where} belongs to another model: its {name} is {tuple(theirs[name].shape)}, "
                f"here it is {tuple(own[name].shape)}; {_parts(state)}"
            )
    model.load_state_dict(theirs)


def _parts(state: dict[str, Any]) -> str:
    known = {name: state["settings"].get(name) for name in ("backbone", "head", "dim")}
    return "it was trained with " + ", ".join(f"--{name} {x}" for name, x in known.items())
