"""Choose the device and the precision of a training."""

from __future__ import annotations

import torch

from glocal.errors import LearnError
from glocal.learn.settings import Precision

_PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(name: str) -> torch.device:
    """Choose a device by name; ``auto`` is a GPU if there is one.

    Args:
        name: cpu, cuda, auto, or one of several GPUs, such as cuda:1.

    Raises:
        LearnError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise LearnError(f"--device {name} cannot train; use cpu, cuda or auto")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:120]
        raise LearnError(
            f"there is no device {name!r} ({reason}); use cpu, cuda or auto"
        ) from error
    return device


def choose_precision(name: Precision, device: torch.device) -> torch.dtype:
    """Choose the type that the network computes in; weights stay in single precision.

    Args:
        name: ``auto`` is bfloat16 on a GPU that supports it, float16 on an older GPU, and float32
            on a CPU, where lower precision rarely helps.
        device: device to compute on.
    """
    if name != "auto":
        return _PRECISIONS[name]
    if device.type == "cpu":
        return torch.float32
    # GPUs without bfloat16 emulate it, which is slower than float16.
    with torch.cuda.device(device):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16
