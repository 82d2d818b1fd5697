"""Train a world model: GeoCLIP over a gallery's vectors, measured on places it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.geography.grid import Grid
from glocal.geography.sphere import distances_km
from glocal.geography.world_model import MOST_POSITIONS, WorldCard, WorldModel, reach_of
from glocal.learn.locations.g3 import G3
from glocal.learn.locations.geoclip import GeoClip, train_geoclip
from glocal.registry import names, part

LEAST_PHOTOS, LEAST_PLACES = 100, 20
STEPS = 1_000
_CELL_KM = 50.0  # places that are kept aside are cells of this grid, whole
_MOST_A_CELL = 200  # photos: home shall not outweigh the world
_MOST_MEASURED = 1_000
_CALIBRATED, _MEASURED = 0.1, 0.2  # shares of the cells
_SCALES = tuple(2.0 ** (power / 2) for power in range(-10, 5))
_WITHIN_KM = (200, 750, 2_500)
_FIRST_REACH_KM = 750.0

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Photos:
    """Vectors ``(n, d)``, positions ``(n, 2)`` and the cell of each ``(n,)``."""

    vectors: NDArray[np.float32]
    positions: Doubles
    cells: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.generic]) -> _Photos:
        return _Photos(self.vectors[rows], self.positions[rows], self.cells[rows])


def train_world_model(
    vectors: ArrayLike,
    positions: ArrayLike,
    *,
    space: str,
    locations: str = "fourier",
    towns: ArrayLike = (),
    steps: int = STEPS,
    seed: int = 0,
    licence: str = "",
    listen: Callable[[str], None] = lambda _: None,
) -> WorldModel:
    """Train GeoCLIP on photos that say where they were taken.

    It is first trained without three tenths of the places, cells of 50 km: on a tenth the belief is
    made as sure as it may be and places as wide as they must be, and on a fifth it is measured.
    What is returned is then trained on all photos.

    Args:
        vectors: ``(n, d)`` of photos, of unit length, of one vector space.
        positions: ``(n, 2)`` latitudes and longitudes in degrees.
        space: the vector space.
        locations: a part of the kind ``query`` with the trait ``location``.
        towns: ``(m, 2)`` further positions that photos may have been taken at, beside those of the
            photos.
        steps: batches of each training.
        seed: of all that is drawn.
        licence: to be noted in the card.
        listen: told what is being done.

    Raises:
        LearnError: there are too few photos or places, or the arrays do not fit together.
        PartError: there is no such location encoder.
    """
    photos = _checked(vectors, positions, np.random.default_rng(seed))
    random = np.random.default_rng((seed, 1))
    order = random.permutation(int(photos.cells.max()) + 1)
    share = order[photos.cells] / len(order)
    aside, measured = share < _CALIBRATED, share < _CALIBRATED + _MEASURED
    learnt, some = photos[~measured], photos[aside][_drawn(photos[aside], random)]
    tested = photos[measured & ~aside][_drawn(photos[measured & ~aside], random)]
    further = np.asarray(towns, np.float64).reshape(-1, 2)
    listen("training without the places that are kept aside")
    card = WorldCard(
        part="geoclip",
        locations=locations,
        space=space,
        photos=len(photos.cells),
        scale=1.0,
        reach_km=_FIRST_REACH_KM,
        glocal_version=version("glocal"),
        licence=licence,
    )
    model = _trained(learnt, locations, steps, seed)
    trial = world_model_of(model, _candidates(learnt, further, random), card)
    card = _calibrated(trial, some, float(model.log_scale.detach().exp()))
    listen("measuring")
    figures = _measure(_as(trial, card), tested, random)
    listen("training on all photos")
    model = _trained(photos, locations, steps, seed)
    card = replace(card, measured=figures)
    return world_model_of(model, _candidates(photos, further, random), card)


@torch.no_grad()
def world_model_of(model: GeoClip | G3, positions: ArrayLike, card: WorldCard) -> WorldModel:
    """A trained module of torch as a world model, which needs no torch.

    Args:
        model: GeoCLIP, or G3, of which the projection towards positions is taken.
        positions: ``(m, 2)`` degrees among which it will choose.
        card: what is to be said of it; see `WorldCard`.

    Raises:
        LearnError: there are no positions, or more than a world model may have.
        WorldModelError: the card cannot be.
    """
    rows = torch.tensor(np.asarray(positions, np.float32).reshape(-1, 2))
    if not 0 < len(rows) <= MOST_POSITIONS:
        raise LearnError(f"there are {len(rows)} positions; give 1 to {MOST_POSITIONS}")
    side = model.images if isinstance(model, GeoClip) else model.to_positions
    layers = [
        (each.weight.numpy().copy(), each.bias.numpy().copy())
        for each in side.modules()
        if isinstance(each, nn.Linear)
    ]
    encode = model.encode_locations if isinstance(model, GeoClip) else model.encode_positions
    encoded = torch.cat([encode(some) for some in rows.split(4_096)])
    return WorldModel(card, layers, rows.numpy(), encoded.numpy())


def _checked(vectors: ArrayLike, positions: ArrayLike, random: np.random.Generator) -> _Photos:
    """The photos, at most so many of each cell."""
    rows, places = np.asarray(vectors, np.float32), np.asarray(positions, np.float64)
    if rows.ndim != 2 or places.shape != (len(rows), 2):
        raise LearnError(
            f"vectors have shape {rows.shape} and positions {places.shape}; give (n, d) and (n, 2)"
        )
    if (
        not (np.isfinite(rows).all() and np.isfinite(places).all())
        or (np.abs(places) > (90, 180)).any()
    ):
        raise LearnError("a vector is not finite, or a position is not on Earth")
    grid = Grid(_CELL_KM)
    each = [grid.cell_at(float(place[0]), float(place[1])).name for place in places]
    cells = np.unique(each, return_inverse=True)[1].astype(np.int64) if each else np.zeros(0, int)
    count = int(cells.max()) + 1 if len(cells) else 0
    if len(rows) < LEAST_PHOTOS or count < LEAST_PLACES:
        raise LearnError(
            f"there are {len(rows)} photos with a position, from {count} places 50 km apart; a "
            f"world model needs at least {LEAST_PHOTOS} from {LEAST_PLACES}, and is of use with "
            "thousands from all over the world"
        )
    order = random.permutation(len(rows))
    seen = np.zeros(count, int)
    kept = []
    for row in order:
        if seen[cells[row]] < _MOST_A_CELL:
            seen[cells[row]] += 1
            kept.append(row)
    return _Photos(rows, places, cells)[np.sort(np.array(kept))]


def _drawn(photos: _Photos, random: np.random.Generator) -> NDArray[np.int64]:
    return random.permutation(len(photos.cells))[:_MOST_MEASURED]


def _trained(photos: _Photos, locations: str, steps: int, seed: int) -> GeoClip:
    torch.manual_seed(seed)
    row = part("query", locations)
    if "location" not in row.traits:
        known = ", ".join(names("query", trait="location"))
        raise LearnError(f"{locations!r} encodes no places; choose from: {known}")
    width = 64
    encoder: nn.Module = row.load()(width)
    model = GeoClip(photos.vectors.shape[1], width=width, locations=encoder)
    data: tuple[Tensor, Tensor] = (
        torch.from_numpy(photos.vectors),
        torch.tensor(photos.positions, dtype=torch.float32),
    )
    train_geoclip(model, *data, steps=steps, batch=min(256, len(photos.cells)), seed=seed)
    return model


def _candidates(photos: _Photos, further: Doubles, random: np.random.Generator) -> Doubles:
    """Positions to choose from: those of the photos, a kilometre apart, and further ones."""
    own = np.unique(photos.positions.round(2), axis=0)
    own = random.permutation(own)[:MOST_POSITIONS]
    return np.concatenate([own, further[: MOST_POSITIONS - len(own)]])


def _as(model: WorldModel, card: WorldCard) -> WorldModel:
    return WorldModel(card, model.layers, model.positions, model.locations)


def _calibrated(model: WorldModel, photos: _Photos, trained: float) -> WorldCard:
    """How sure the belief may be, and how wide places are.

    Positions within reach of where a photo was taken should have as much of the belief as they can
    (the logarithmic score of that event).
    """
    card = replace(model.card, scale=trained)
    at_best = [_as(model, card).belief(vector).argmax() for vector in photos.vectors]
    away = distances_km(photos.positions, model.positions[at_best])
    card = replace(card, reach_km=reach_of(float(np.median(away))))
    near = [distances_km(place, model.positions) <= card.reach_km for place in photos.positions]

    def score(scale: float) -> float:
        sure = _as(model, replace(card, scale=scale))
        held = [sure.belief(v)[at].sum() for v, at in zip(photos.vectors, near, strict=True)]
        return float(np.log(np.maximum(held, 1e-4)).mean())

    return replace(card, scale=max((trained * each for each in _SCALES), key=score))


def _measure(model: WorldModel, photos: _Photos, random: np.random.Generator) -> dict[str, float]:
    """Errors of the first place, how often it is right, and the same of positions by chance."""
    first = [model.places(vector, 1)[0] for vector in photos.vectors]
    away = distances_km(photos.positions, [(p.latitude, p.longitude) for p in first])
    drawn = model.positions[random.integers(len(model.positions), size=len(photos.vectors))]
    by_chance = distances_km(photos.positions, drawn)
    found = {
        "photos": float(len(photos.vectors)),
        "median_km": float(np.median(away)),
        "median_km_by_chance": float(np.median(by_chance)),
        "share_of_first": float(np.mean([place.share for place in first])),
        "right_within_radius": float(np.mean(away <= [place.radius_km for place in first])),
    }
    for km in _WITHIN_KM:
        found[f"within_{km}_km"] = float((away <= km).mean())
        found[f"within_{km}_km_by_chance"] = float((by_chance <= km).mean())
    return {name: round(value, 4) for name, value in found.items()}
