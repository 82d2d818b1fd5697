"""Pieces of screenshots of 1,080 x 16,000 pixels: are these found by them, and at the right place?

    python benchmarks/long_images.py --images PACKAGES --views VIEWS --work FOLDER

Three long screenshots, each made of three pages of the split ``settings`` of `region_sets`, are
added to that split's gallery; the pages that they are made of do not count. A piece is a screen of
1,080 x 1,920 pixels from anywhere, at two thirds of the size. It is searched with the defaults and
without regions; a box is right if it has at least .8 in common with the piece (intersection over
union).
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from glocal import Gallery, Hit
from glocal.encoders import DEFAULT_MODEL
from measure import arguments, print_table, write_results
from region_data import region_arguments
from region_maps import sets_of
from region_search import contents, indexed
from region_sets import _SCREENS

_PIECES = 12  # of each
_SCREEN = 1920
_ALIKE = 0.8


@dataclass(frozen=True)
class Piece:
    """A query, the name of the image that it is a piece of, and where: top and bottom of 1."""

    data: bytes
    name: str
    top: float
    bottom: float

    def rank(self, hits: list[Hit]) -> int | None:
        """At which place its image is."""
        return next((n for n, hit in enumerate(hits, 1) if hit.path.stem == self.name), None)

    def located(self, hit: Hit) -> bool:
        """Whether a hit says where the piece is."""
        if hit.box is None:
            return False
        top, bottom = hit.box[1], hit.box[1] + hit.box[3]
        common = max(min(bottom, self.bottom) - max(top, self.top), 0)
        either = max(bottom, self.bottom) - min(top, self.top)
        return common / either >= _ALIKE


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    share = 8 if options.quick else 1
    made = sets_of("settings", options.images, options.views, options.work, share)
    (screens,) = [one for one in made.sets if one.name == _SCREENS]
    numbers = list(dict.fromkeys(n for truth in screens.truth for n in truth))[:9]
    folder = options.work / f"gallery-settings-{share}-coarse"
    files = options.work / f"files-settings-{share}"
    indexed(made, "coarse", files, folder, DEFAULT_MODEL).close()
    longer = options.work / f"gallery-long-{share}"
    shutil.rmtree(longer, ignore_errors=True)
    shutil.copytree(folder, longer)
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    with Gallery(longer) as gallery:
        pieces = []
        for turn in range(0, len(numbers), 3):
            opened = [Image.open(io.BytesIO(contents(made.images.sources[n]))) for n in numbers]
            page = np.concatenate(
                [np.asarray(one.convert("RGB")) for one in opened[turn : turn + 3]]
            )[:16_000]
            gallery.add(_encoded(Image.fromarray(page), "PNG"), name=f"long{turn}")
            for _ in range(_PIECES):
                top = int(rng.integers(0, len(page) - _SCREEN))
                screen = Image.fromarray(page[top : top + _SCREEN]).resize((720, 1280))
                data = _encoded(screen, "JPEG")
                ends = top / len(page), (top + _SCREEN) / len(page)
                pieces.append(Piece(data, f"long{turn}", *ends))
        for regions in (False, True):
            ranks, proven, located = [], 0, 0
            for piece in pieces:
                every = gallery.search(piece.data, limit=100, regions=regions).hits
                hits = [hit for hit in every if _counts(hit, numbers)]
                ranks.append(piece.rank(hits))
                if ranks[-1] == 1 and hits[0].evidence is not None:
                    proven += hits[0].evidence.verdict.is_match
                    located += piece.located(hits[0])
            rows.append(
                {
                    "regions": "coarse" if regions else "none",
                    "pieces": len(pieces),
                    "first": sum(rank == 1 for rank in ranks),
                    "first and a match": proven,
                    "first and at the right place": located,
                    "in the first 10": sum(rank is not None and rank <= 10 for rank in ranks),
                }
            )
    print_table("Pieces of long screenshots", [*rows[0]], [[*row.values()] for row in rows])
    write_results("long_images", {"ways": rows}, quick=options.quick)


def _counts(hit: Hit, pages: list[int]) -> bool:
    name = hit.path.stem
    return name.startswith("long") or int(name) not in pages


def _encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=80)
    return file.getvalue()


if __name__ == "__main__":
    main()
