from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _torchvision_without_its_operators() -> Iterator[None]:
    """Make torchvision importable beside a torch that its compiled operators were not built for.

    timm imports torchvision, but what it uses of it is Python alone. PyPI's torchvision for Linux
    is built for CUDA; beside a torch for the CPU its library of operators does not load, and the
    import then fails because two of them are not declared. Declaring them is enough.
    """
    declared: Any = None
    if find_spec("torch") is not None and find_spec("torchvision") is not None:
        import torch

        try:
            import torchvision
        except RuntimeError as error:
            if "operator torchvision::nms does not exist" not in str(error):
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            declared = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                declared.define(
                    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            import torchvision  # noqa: F401
    yield
    del declared  # the declarations live as long as this object


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed():
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
