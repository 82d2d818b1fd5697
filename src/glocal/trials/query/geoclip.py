"""A view of the Earth retrieves where it lies from a gallery of positions, by GeoCLIP's alignment.

A toy: the images are tiles of the Blue Marble and of relief (8 x 8 pixels, 6 degrees) around places
on land, and the image encoder is a head over them. A fifth of the regions is held out whole; the
gallery has positions on land all over the Earth, which are in no image.

At this scale the nearest image is a better guess (a median of 1,750 km where GeoCLIP had 2,960,
seed 0): 3,200 training images cover the Earth densely, and a tile is nearly its own description.
"""

from __future__ import annotations

import numpy as np
import torch

from glocal.geography.sphere import distances_km
from glocal.learn.locations.geoclip import GeoClip, train_geoclip
from glocal.trials import Claim, Lab, geography

CLAIM = Claim(
    measured="share of tiles of held-out regions that are placed within 2,500 km",
    baseline="share for which a position that is drawn from the gallery lies so near",
    unit="points",
    comparison=">",
    margin=20.0,
    seeds=5,
)
_DRAWN, _MOST, _GALLERY, _STEPS, _NEAR_KM = 12_800, 3_000, 12_000, 300, 2_500.0


def method(lab: Lab) -> float:
    """The position whose vector is nearest to the image's."""
    places, vectors, out, gallery = _data(lab)
    model = GeoClip(vectors.shape[1])
    train, test = torch.tensor(~out), torch.tensor(out)
    known = torch.tensor(places, dtype=torch.float32)[train]
    train_geoclip(model, vectors[train], known, steps=lab.steps(_STEPS), seed=lab.seed)
    with torch.no_grad():
        kept = model.encode_locations(torch.tensor(gallery, dtype=torch.float32))
        best = (model.encode_images(vectors[test]) @ kept.T).argmax(1).numpy()
    away = distances_km(places[out], gallery[best])
    lab.check("median error", float(np.median(away)), "<", 5_000)
    return _near(away)


def baseline(lab: Lab) -> float:
    """Chance: any position of the gallery, which is on land as the places are."""
    places, _, out, gallery = _data(lab)
    drawn = lab.random().integers(0, len(gallery), int(out.sum()))
    return _near(distances_km(places[out], gallery[drawn]))


def _near(away: np.ndarray) -> float:
    return 100 * float((away <= _NEAR_KM).mean())


def _data(lab: Lab) -> tuple[np.ndarray, torch.Tensor, np.ndarray, np.ndarray]:
    """Places, their tiles in standard deviations, which are held out, and the gallery."""
    random = lab.random()
    places = geography.positions(random, _DRAWN)
    places = places[geography.is_land(places)][:_MOST]
    out = geography.held_out(places, random, 0.2)
    tiles = geography.tiles(places)
    vectors = torch.tensor((tiles - tiles[~out].mean(0)) / tiles[~out].std(), dtype=torch.float32)
    gallery = geography.positions(random, _GALLERY)
    return places, vectors, out, gallery[geography.is_land(gallery)]
