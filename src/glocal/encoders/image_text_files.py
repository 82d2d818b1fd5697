"""Find the files of an image-text pair: a folder as exporters write it, or a name on the hub.

A pair is an image model and a text model whose vectors share a space, such as CLIP, SigLIP or
MobileCLIP, exported to ONNX as two files beside their tokeniser:

- ``vision_model.onnx`` and ``text_model.onnx``, at the top or under ``onnx/``, with
  ``tokenizer.json`` and ``preprocessor_config.json`` (transformers.js, Optimum);
- ``visual/model.onnx`` and ``textual/model.onnx``, with ``visual/preprocess_cfg.json`` and
  ``textual/tokenizer.json`` (OpenCLIP as Immich exports it).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocal.encoders.hashes import file_sha256
from glocal.errors import MissingExtraError, ModelError, install_command

COMBINER = "combiner.onnx"
"""A trained combiner of image and text vectors, which a pair's folder may have besides."""

_LAYOUTS = (
    ("vision_model.onnx", "text_model.onnx"),
    ("onnx/vision_model.onnx", "onnx/text_model.onnx"),
    ("visual/model.onnx", "textual/model.onnx"),
)
_SETTINGS = ("preprocessor_config.json", "visual/preprocess_cfg.json")
_TOKENIZERS = ("tokenizer.json", "textual/tokenizer.json")
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "textual/tokenizer_config.json")
_ASIDE = (*_SETTINGS, *_TOKENIZERS, *_TOKENIZER_SETTINGS, "config.json", "README.md", COMBINER)
_LICENCE = re.compile(r"^licen[sc]e:\s*['\"]?([^'\"\n]+)", re.MULTILINE | re.IGNORECASE)
_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of an image-text pair.

    Attributes:
        name: what the pair is called.
        licence: of its weights, as its files state it; empty where they state none.
        image: the image model.
        text: the text model.
        tokenizer: the tokeniser of the text model.
        settings: how images are prepared.
        config: what ``config.json`` says, or nothing.
        tokenizer_settings: what ``tokenizer_config.json`` says, or nothing.
        combiner: a trained combiner; `None` where the pair has none.
    """

    name: str
    licence: str
    image: Path
    text: Path
    tokenizer: Path
    settings: dict[str, Any]
    config: dict[str, Any]
    tokenizer_settings: dict[str, Any]
    combiner: Path | None

    @property
    def space(self) -> str:
        """The name of the space of the pair's vectors, which both files decide."""
        both = "".join(file_sha256(path) for path in (self.image, self.text))
        return f"pair:{hashlib.sha256(both.encode()).hexdigest()[:16]}"


def find_pair(spec: str) -> PairFiles:
    """Find the files of an image-text pair.

    Args:
        spec: a folder; one of the two ONNX files in it; or a hub name, ``OWNER/NAME[@REVISION]``,
            which is downloaded once and kept.

    Raises:
        ModelError: a file is missing or cannot be read, or there is no such pair.
        MissingExtraError: a hub name needs the extra ``hub``.
    """
    given = Path(spec).expanduser()
    if given.is_dir():
        return _pair_in(given, given.resolve().name)
    if given.is_file():
        return _pair_of_file(given)
    match = _HUB_NAME.fullmatch(spec)
    if match and given.suffix != ".onnx":
        return _pair_in(_download(match["repo"], match["revision"]), match["repo"])
    raise ModelError(
        f"there is no image-text model {spec!r}: give a folder that has {' and '.join(_LAYOUTS[0])}"
        ", or a hub name OWNER/NAME"
    )


def _pair_of_file(file: Path) -> PairFiles:
    folder = file.parent
    if folder.name in ("onnx", "visual", "textual"):
        folder = folder.parent
    name = file.name
    for one, other in (("vision_model", "text_model"), ("text_model", "vision_model")):
        if name.startswith(one):  # a variant such as text_model_quantized.onnx
            beside = file.with_name(other + name.removeprefix(one))
            halves = (file, beside) if one == "vision_model" else (beside, file)
            return _pair_of(folder, folder.resolve().name, *halves)
    if name == "model.onnx" and file.parent != folder:
        return _pair_in(folder, folder.resolve().name)
    raise ModelError(
        f"{file} is not one half of an image-text model; export the image and the text model as "
        f"two files, {' and '.join(_LAYOUTS[0])}, and give their folder"
    )


def _pair_in(folder: Path, name: str) -> PairFiles:
    for image, text in _LAYOUTS:
        if (folder / image).is_file() or (folder / text).is_file():
            return _pair_of(folder, name, folder / image, folder / text)
    raise ModelError(
        f"{folder} has no image-text model: it needs {' and '.join(_LAYOUTS[0])}, "
        f"or {' and '.join(_LAYOUTS[2])}; export the model to ONNX"
    )


def _pair_of(folder: Path, name: str, image: Path, text: Path) -> PairFiles:
    tokenizer = _first(folder, _TOKENIZERS)
    settings = _first(folder, _SETTINGS)
    missing = [path for path in (image, text) if not path.is_file()]
    if missing or tokenizer is None or settings is None:
        lacks = missing[0] if missing else (_TOKENIZERS if tokenizer is None else _SETTINGS)[0]
        raise ModelError(
            f"the image-text model in {folder} has no {lacks}; copy all files of the export"
        )
    config = _json(_first(folder, ("config.json",)))
    combiner = folder / COMBINER
    return PairFiles(
        name=str(config.get("_name_or_path") or name),
        licence=_licence(folder),
        image=image,
        text=text,
        tokenizer=tokenizer,
        settings=_json(settings),
        config=config,
        tokenizer_settings=_json(_first(folder, _TOKENIZER_SETTINGS)),
        combiner=combiner if combiner.is_file() else None,
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); copy the file again") from error
    return said if isinstance(said, dict) else {}


def _licence(folder: Path) -> str:
    """What the model's page states, or the first line of its licence."""
    for name in ("README.md", "LICENSE", "LICENSE.txt"):
        path = folder / name
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            if name != "README.md":
                return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]
            stated = _LICENCE.search(text[:5_000])
            if stated:
                return stated[1].strip()[:200]
    return ""


def _download(repository: str, revision: str | None) -> Path:
    try:
        import huggingface_hub  # an extra
    except ImportError as error:
        raise MissingExtraError(
            f"the image-text model {repository} has to be downloaded from the hub, which needs "
            f"huggingface_hub: {install_command('glocal[hub]')}; or download its ONNX files and "
            "give their folder"
        ) from error
    wanted = [name for layout in _LAYOUTS for name in layout]
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=[*wanted, *_ASIDE, "LICENSE*"]
            )
        )
    except Exception as error:  # network, names, disk: its errors share no base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(
            f"the image-text model {repository} cannot be downloaded: {reason}"
        ) from error
