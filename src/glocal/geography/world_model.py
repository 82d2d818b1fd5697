"""A trained world model: which places fit a photo's vector, without any photo to compare it with.

The file is an uncompressed NumPy archive (``.npz``) of plain numbers: the head of the image side,
positions, and what the location encoder makes of each. Reading it runs no code of the file and
needs no torch; `glocal.learn.locations.world` trains and writes one.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import WorldModelError
from glocal.geography.clusters import clusters

MOST_POSITIONS = 200_000
MOST_WIDTH = 16_384
MOST_BYTES = 1 << 30
MOST_TEXT = 1_000
_FORMAT = 1
_CONSIDERED = 256  # positions that fit best, of which places are made
_LEAST_REACH_KM, _MOST_REACH_KM = 25.0, 2_500.0
_LEAST_SHARE = 0.01
_ROUNDED = 0.01  # how much half precision may change a length
_CARD, _POSITIONS, _LOCATIONS = "card", "positions", "locations"

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WorldCard:
    """What a world model says about itself.

    Attributes:
        part: the method in the registry, such as ``geoclip``.
        locations: the location encoder, such as ``harmonics``.
        space: the vector space of the photos' vectors that it takes.
        photos: how many it was trained on.
        scale: by which cosines are multiplied before the softmax.
        reach_km: how far positions that count as one place lie from its middle at most.
        glocal_version: version of glocal that wrote it.
        licence: of its weights; empty where nobody said.
        measured: figures on photos from places that were kept aside, by name; empty where nothing
            was measured.
    """

    part: str
    locations: str
    space: str
    photos: int
    scale: float
    reach_km: float
    glocal_version: str
    licence: str = ""
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPlace:
    """A place that a world model thinks of.

    Attributes:
        latitude: of its middle, in degrees.
        longitude: likewise.
        radius_km: within which nine tenths of what speaks for it lie.
        share: of the model's belief, in (0, 1].
    """

    latitude: float
    longitude: float
    radius_km: float
    share: float


class WorldModel:
    """An image side over given vectors, and positions that were encoded once.

    Vivanco Cepeda, Nayak and Shah, GeoCLIP, NeurIPS 2023: the places of a photo are those whose
    vectors are nearest to its own. The belief in position i is the softmax of ``scale`` times the
    cosine; places are clusters of the positions that are believed in most.

    Args:
        card: what it is.
        layers: weight ``(out, in)`` and bias ``(out,)`` of each layer of the image side; a ReLU
            stands between two.
        positions: ``(m, 2)`` latitudes and longitudes in degrees.
        locations: ``(m, w)`` vectors of them, of unit length.

    Raises:
        WorldModelError: these do not fit together, or are too large or not finite.
    """

    def __init__(
        self,
        card: WorldCard,
        layers: list[tuple[Floats, Floats]],
        positions: ArrayLike,
        locations: ArrayLike,
    ) -> None:
        self.card = card
        self.layers = [
            (np.asarray(weight, np.float32), np.asarray(bias, np.float32))
            for weight, bias in layers
        ]
        self.positions = np.asarray(positions, np.float32)
        self.locations = np.asarray(locations, np.float32)
        wrong = _wrong_in(card) or next(self._faults(), "")
        if wrong:
            raise WorldModelError(f"it is no world model: {wrong}")

    @property
    def dim(self) -> int:
        """Length of the photos' vectors."""
        return int(self.layers[0][0].shape[1])

    def belief(self, vector: ArrayLike) -> NDArray[np.float64]:
        """How much it believes in each position: ``(m,)``, of sum 1.

        Args:
            vector: ``(dim,)``, a photo's, of unit length.

        Raises:
            WorldModelError: the vector has another length or is not finite.
        """
        rows = np.asarray(vector, np.float32).reshape(-1)
        if len(rows) != self.dim or not np.isfinite(rows).all():
            raise WorldModelError(
                f"the world model takes vectors of {self.dim} finite numbers, and this one has "
                f"{len(rows)}; index the photos with the model whose space is {self.card.space}"
            )
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                rows = np.maximum(rows, 0)
            rows = weight @ rows + bias
        length = float(np.linalg.norm(rows))
        scores = (self.locations @ (rows / max(length, 1e-12))).astype(np.float64)
        scores = self.card.scale * (scores - scores.max())
        weights = np.exp(scores)
        return np.asarray(weights / weights.sum(), np.float64)

    def places(self, vector: ArrayLike, limit: int = 5) -> tuple[WorldPlace, ...]:
        """Probable places of a photo, the most believed in first, with their spread.

        Args:
            vector: as of `belief`.
            limit: how many at most.

        Raises:
            WorldModelError: the vector does not fit.
        """
        belief = self.belief(vector)
        best = np.argsort(-belief, kind="stable")[:_CONSIDERED]
        best = best[belief[best] > belief[best[0]] * 1e-6]
        found: list[WorldPlace] = []
        for each in clusters(self.positions[best], belief[best], self.card.reach_km)[:limit]:
            if found and each.weight < _LEAST_SHARE:
                break
            found.append(
                WorldPlace(
                    latitude=each.latitude,
                    longitude=each.longitude,
                    radius_km=max(each.radius_km, _LEAST_REACH_KM),
                    share=min(each.weight, 1.0),
                )
            )
        return tuple(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, whole or not at all; one that is there is replaced.

        Raises:
            WorldModelError: the file cannot be written.
        """
        card = json.dumps(asdict(self.card) | {"format": _FORMAT}).encode()
        arrays: dict[str, Any] = {_CARD: np.frombuffer(card, np.uint8)}
        for number, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight{number}": weight, f"bias{number}": bias}
        arrays |= {_POSITIONS: self.positions, _LOCATIONS: self.locations.astype(np.float16)}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("xb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            raise WorldModelError(
                f"the world model {target} cannot be written: {error.strerror}"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WorldModel:
        """Read a world model.

        Raises:
            WorldModelError: the file is missing, too large, damaged or no world model.
        """
        found = Path(path)
        if not found.is_file():
            raise WorldModelError(
                f"there is no world model {found}; give a file that glocal world wrote (none comes "
                "with glocal)"
            )
        try:
            if found.stat().st_size > MOST_BYTES:
                raise WorldModelError(f"it has more than the {MOST_BYTES} bytes that one may have")
            arrays = _arrays(found)
            card = _card(arrays)
            layers: list[tuple[Floats, Floats]] = []
            while f"weight{len(layers)}" in arrays:
                layers.append((arrays[f"weight{len(layers)}"], arrays[f"bias{len(layers)}"]))
            return cls(card, layers, arrays[_POSITIONS], arrays[_LOCATIONS])
        except WorldModelError as error:
            raise WorldModelError(f"the world model {found} cannot be used: {error}") from error
        except OSError as error:
            raise WorldModelError(
                f"the world model {found} cannot be read: {error.strerror or error}"
            ) from error
        except (KeyError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise WorldModelError(
                f"{found} is damaged or no world model; give a file that glocal world wrote"
            ) from error

    def _faults(self) -> Iterator[str]:
        """What does not fit together."""
        width = 0
        for number, (weight, bias) in enumerate(self.layers):
            fits = weight.ndim == 2 and bias.shape == weight.shape[:1]
            if not fits or not 0 < min(weight.shape) <= max(weight.shape) <= MOST_WIDTH:
                yield f"layer {number} has shapes {weight.shape} and {bias.shape}"
                return
            if number and weight.shape[1] != width:
                yield f"layer {number} takes {weight.shape[1]} numbers of {width}"
            width = len(weight)
        if not self.layers:
            yield "it has no layer"
        count = len(self.positions)
        if self.positions.shape != (count, 2) or not 0 < count <= MOST_POSITIONS:
            yield f"its positions have shape {self.positions.shape}"
        elif (np.abs(self.positions) > (90, 180)).any():
            yield "a position is not on Earth"
        if self.locations.shape != (count, width):
            yield f"its locations have shape {self.locations.shape}, not {(count, width)}"
        elif np.abs(np.linalg.norm(self.locations, axis=1) - 1).max() > _ROUNDED:
            yield "its locations are not of unit length"
        numbers = [self.positions, self.locations, *(a for each in self.layers for a in each)]
        if not all(np.isfinite(each).all() for each in numbers):
            yield "it has nan or infinite numbers"


def read_world_model(path: str | os.PathLike[str]) -> WorldModel:
    """As `WorldModel.load`; a file that is read again and again is kept in memory.

    Raises:
        WorldModelError: see `WorldModel.load`.
    """
    try:
        found = Path(path).resolve().stat()
    except OSError:
        return WorldModel.load(path)  # which says what is wrong
    return _kept(Path(path), (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=2)
def _kept(path: Path, _: tuple[int, int, int]) -> WorldModel:
    return WorldModel.load(path)


def reach_of(median_km: float) -> float:
    """How wide places should be, of the error that half of the photos kept aside stay below."""
    return float(min(max(median_km, _LEAST_REACH_KM), _MOST_REACH_KM))


def _arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """The archive's arrays, of which none is compressed, so that none outgrows the file."""
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > 64:
            raise WorldModelError(f"it has {len(members)} arrays")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > MOST_BYTES:
                raise WorldModelError(f"its array {member.filename[:100]!r} is compressed")
            name = member.filename.removesuffix(".npy")
            found[name] = _array(archive.read(member), name)  # which checks its CRC-32
    return found


def _array(data: bytes, name: str) -> NDArray[Any]:
    """An array of NumPy's format, of no more numbers than there are bytes for."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise WorldModelError(f"its array {name[:100]!r} is of another version of the format")
    shape, columns, kind = np.lib.format.read_array_header_1_0(file)
    begin = file.tell()
    if kind.kind not in "fu" or (columns and len(shape) > 1):
        raise WorldModelError(f"its array {name[:100]!r} has no numbers in rows")
    if math.prod(shape) * kind.itemsize != len(data) - begin:
        raise WorldModelError(f"its array {name[:100]!r} is cut off")
    return np.frombuffer(data, kind, offset=begin).reshape(shape)


def _card(arrays: Mapping[str, NDArray[Any]]) -> WorldCard:
    try:
        raw = json.loads(arrays[_CARD].tobytes())
        version = raw.pop("format")
        known = {each.name for each in fields(WorldCard)}
        card = WorldCard(**{name: raw[name] for name in known})
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WorldModelError("its card is damaged") from error
    if version != _FORMAT:
        raise WorldModelError(f"its format is {version!r:.40}, not {_FORMAT}; update glocal")
    return card


def _wrong_in(card: WorldCard) -> str:
    """What is impossible in a card; empty where nothing is."""
    for name in ("part", "locations", "space", "glocal_version", "licence"):
        text = getattr(card, name)
        if not isinstance(text, str) or len(text) > MOST_TEXT or not (text or name == "licence"):
            return f"{name} is {text!r:.100}, not a name"
    if type(card.photos) is not int or card.photos < 0:
        return f"photos is {card.photos!r:.100}, not a number of photos"
    for name, most in (("scale", 10_000.0), ("reach_km", 20_040.0)):
        number = getattr(card, name)
        if type(number) not in (int, float) or not 0 < number <= most:
            return f"{name} is {number!r:.100}, not a number from 0 to {most:g}"
    if not isinstance(card.measured, dict) or not all(
        isinstance(name, str) and type(value) in (int, float) and math.isfinite(value)
        for name, value in card.measured.items()
    ):
        return f"measured is {card.measured!r:.100}, not figures by name"
    return ""
