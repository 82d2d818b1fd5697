"""Run an image-text pair: images and texts to vectors of one space."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.encoders.image_text_files import PairFiles
from glocal.encoders.onnx import open_session
from glocal.errors import MissingExtraError, ModelError, install_command

Floats = NDArray[np.float32]
_IMAGE_OUTPUTS = ("image_embeds", "embedding", "image_features", "pooler_output")
_TEXT_OUTPUTS = ("text_embeds", "embedding", "text_features", "sentence_embedding", "pooler_output")
_TYPES: dict[str, Any] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_USUAL_LENGTH = 77  # tokens, of CLIP
_MOST_TOKENS = 1_024
_RESAMPLING = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """How texts become tokens.

    Attributes:
        longest: tokens at most; the rest of a text is left out.
        padded: whether texts are filled up to that many, as the model was trained or exported.
        pad_id: the token that fills up.
    """

    longest: int
    padded: bool
    pad_id: int


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How an image becomes what the image model takes.

    Attributes:
        height: of its input.
        width: of its input.
        crops: whether the longer side is cut, rather than squashed.
        resize: the shorter side before it is cut.
        resample: one of Pillow's filters.
        mean: of each channel, subtracted; zeros where the model does so itself.
        std: of each channel, by which is divided.
    """

    height: int
    width: int
    crops: bool
    resize: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> ImageSettings:
        """Read what an exporter wrote; see `glocal.encoders.image_text_files`.

        Raises:
            ModelError: it makes no sense.
        """
        try:
            if "interpolation" in said:  # OpenCLIP
                height, width = _pair(said["size"])
                crops = said.get("resize_mode", "shortest") == "shortest"
                return cls(
                    height,
                    width,
                    crops,
                    min(height, width),
                    _RESAMPLING[said["interpolation"]],
                    _three(said["mean"]),
                    _three(said["std"]),
                )
            size, crop = said.get("size", 224), said.get("crop_size")
            shortest = size.get("shortest_edge") if isinstance(size, Mapping) else None
            if isinstance(size, int) or shortest:
                resize, crops = int(shortest or size), said.get("do_center_crop", True)
                height, width = _pair(crop if crop and crops else resize)
            else:
                height, width = _pair(size)
                resize, crops = min(height, width), False
            normal = said.get("do_normalize", True)
            return cls(
                height,
                width,
                bool(crops),
                resize,
                int(said.get("resample", 3)),
                _three(said["image_mean"]) if normal else (0.0, 0.0, 0.0),
                _three(said["image_std"]) if normal else (1.0, 1.0, 1.0),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the settings for images of the image-text model cannot be used ({error!r}); copy "
                "preprocessor_config.json of the export again"
            ) from error

    def prepared(self, image: NDArray[np.uint8]) -> Floats:
        """An image ``(h, w, 3)`` uint8 RGB as ``(1, 3, height, width)`` float32."""
        made, box = Image.fromarray(image), None
        if self.crops:  # cut before it is resized: an image of one row would become a huge one
            shorter = min(made.size)
            scale = max(self.resize, self.width, self.height) / shorter
            wide, high = self.width / scale, self.height / scale
            left, top = (made.width - wide) / 2, (made.height - high) / 2
            box = (left, top, left + wide, top + high)
        made = made.resize((self.width, self.height), self.resample, box)
        pixels = np.asarray(made, np.float32) / 255
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


class ImageModel:
    """The image side of a pair; any thread may use it.

    Args:
        pair: its files.
        threads: that one image may use.

    Raises:
        ModelError: the file cannot be run, or is not an image model.
    """

    def __init__(self, pair: PairFiles, *, threads: int = 1) -> None:
        self._session = open_session(pair.image, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in ("tensor(float)", "tensor(float16)"):
            raise ModelError(
                f"{pair.image} takes {[each.name for each in inputs]}; an image model takes pixels "
                "alone, as floats: export the image side by itself"
            )
        self._input = inputs[0].name
        self._half = inputs[0].type == "tensor(float16)"
        self._output = _output(self._session, _IMAGE_OUTPUTS, pair.image)
        self.settings = ImageSettings.of(pair.settings)

    def encode(self, image: NDArray[np.uint8]) -> Floats:
        """The vector ``(k,)`` of unit length of an image ``(h, w, 3)`` uint8 RGB upright."""
        pixels: NDArray[Any] = self.settings.prepared(image)
        if self._half:
            pixels = pixels.astype(np.float16)
        first: Floats = _unit(self._session.run([self._output], {self._input: pixels})[0])[0]
        return first


class TextModel:
    """The text side of a pair; any thread may use it.

    Args:
        file: its ONNX file.
        tokenizer: its ``tokenizer.json``.
        settings: how texts become tokens; see `token_settings`.

    Raises:
        MissingExtraError: the extra ``text`` is not installed.
        ModelError: a file cannot be run, or is not a text model.
    """

    def __init__(self, file: Path, tokenizer: Path, settings: TokenSettings) -> None:
        self._tokenizer = open_tokenizer(tokenizer)
        self._settings = settings
        self._session = open_session(file, 1)
        self._inputs = {each.name: _TYPES.get(each.type) for each in self._session.get_inputs()}
        known = {"input_ids", "text", "attention_mask", "position_ids", "token_type_ids"}
        if not {"input_ids", "text"} & set(self._inputs) or set(self._inputs) - known:
            raise ModelError(
                f"{file} takes {sorted(self._inputs)}; a text model takes input_ids: export the "
                "text side by itself"
            )
        self._output = _output(self._session, _TEXT_OUTPUTS, file)
        self._lock = threading.Lock()

    def encode(self, text: str) -> Floats:
        """The vector ``(k,)`` of unit length of a text."""
        with self._lock:  # padding and truncation are its state
            ids = self._tokenizer.encode(text).ids
        if len(ids) > self._settings.longest:  # the last token ends the text
            ids = [*ids[: self._settings.longest - 1], ids[-1]]
        count, filled = len(ids), list(ids)
        if self._settings.padded:
            filled += [self._settings.pad_id] * (self._settings.longest - count)
        size = len(filled)
        values = {
            "input_ids": filled,
            "text": filled,
            "attention_mask": [1] * count + [0] * (size - count),
            "position_ids": list(range(size)),
            "token_type_ids": [0] * size,
        }
        fed = {name: np.array([values[name]], kind) for name, kind in self._inputs.items()}
        first: Floats = _unit(self._session.run([self._output], fed)[0])[0]
        return first


class CombinerModel:
    """A trained combiner of the vectors of an image and of a text, from one ONNX file.

    Args:
        file: takes ``image`` and ``text``, each ``(b, k)``, and gives ``query`` ``(b, k)``.

    Raises:
        ModelError: the file cannot be run, or is not such a combiner.
    """

    def __init__(self, file: Path) -> None:
        self._session = open_session(file, 1)
        names = {each.name for each in self._session.get_inputs()}
        if names != {"image", "text"}:
            raise ModelError(
                f"{file} takes {sorted(names)}; a combiner takes image and text: export it again"
            )

    def combine(self, image: Floats, text: Floats) -> Floats:
        """The query ``(k,)`` of unit length for an image and a text, each ``(k,)``."""
        fed = {"image": image[None], "text": text[None]}
        first: Floats = _unit(self._session.run(None, fed)[0])[0]
        return first


def token_settings(pair: PairFiles) -> TokenSettings:
    """How the texts of a pair become tokens, from what its files say.

    Raises:
        MissingExtraError: the extra ``text`` is not installed.
        ModelError: the text model cannot be run.
    """
    session = open_session(pair.text, 1)
    ids = [each for each in session.get_inputs() if each.name in ("input_ids", "text")]
    fixed = ids[0].shape[-1] if ids and isinstance(ids[0].shape[-1], int) else None
    said = (
        fixed,
        _inside(pair.config, "text_config", "max_position_embeddings"),
        _inside(pair.config, "text_cfg", "context_length"),
        pair.tokenizer_settings.get("model_max_length"),
    )
    longest = next((int(n) for n in said if n is not None and _is_length(n)), _USUAL_LENGTH)
    padded = fixed is not None or str(pair.config.get("model_type", "")).startswith("siglip")
    token = pair.tokenizer_settings.get("pad_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    tokenizer = open_tokenizer(pair.tokenizer)
    pad_id = tokenizer.token_to_id(token) if isinstance(token, str) else None
    return TokenSettings(longest, padded, pad_id or 0)


def open_tokenizer(path: Path) -> Any:
    """A tokeniser that neither pads nor cuts.

    Raises:
        MissingExtraError: the extra ``text`` is not installed.
        ModelError: the file is damaged.
    """
    try:
        from tokenizers import Tokenizer  # an extra
    except ImportError as error:
        raise MissingExtraError(
            "searching by what words mean needs the package tokenizers, which is not installed: "
            f"{install_command('glocal[text]')}"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # whatever its Rust raises, which has no other base
        raise ModelError(f"the tokeniser {path} cannot be read: {str(error)[:200]}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _output(session: Any, names: tuple[str, ...], file: Path) -> str:
    """The output that has one vector for each row."""
    flat = [each.name for each in session.get_outputs() if len(each.shape) == 2]
    found = next((name for name in names if name in flat), None)
    if found is None and len(flat) == 1:
        found = flat[0]
    if found is None:
        raise ModelError(
            f"{file} gives {[each.name for each in session.get_outputs()]}, of which none is known "
            f"as its vector; export it with one of {', '.join(names)}"
        )
    return found


def _unit(rows: Any) -> Floats:
    found = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-12), np.float32)


def _inside(said: Mapping[str, Any], *names: str) -> Any:
    found: Any = said
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _is_length(said: Any) -> bool:
    return isinstance(said, int) and 1 <= said <= _MOST_TOKENS


def _pair(said: Any) -> tuple[int, int]:
    if isinstance(said, Mapping):
        return int(said["height"]), int(said["width"])
    if isinstance(said, int):
        return said, said
    height, width = said
    return int(height), int(width)


def _three(said: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(each) for each in said)
    return red, green, blue
