"""How many photos a bridge of an upgrade has to be fitted to.

    python benchmarks/bridge_anchors.py [--work FOLDER]

Each row does what `glocal upgrade` does with so many photos of the gallery, encoded by both models:
it fits the bridge that brings old vectors into the new space, and measures it without labels on a
quarter of them. Then, with labels, recall@1 and mAP of queries of the new model: among Grocery's
test photos and for its product images, whose old vectors are brought into the new space. Photos,
labels and anchors are those of `bridges.py`, with which FOLDER is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge_spaces import Vectors
from bridges import Space, figures, spaces_of
from glocal.encoders import load_encoder
from glocal.gallery.bridge_trial import try_bridges
from glocal.gallery.model_id import ModelId
from glocal.upgrade import Bridge
from measure import arguments, print_table, write_results

PAIRS = [("glocal-v1", "glocal-v2"), ("lite0-gem", "lite1-gem"), ("lite0-gem", "lite2-gem")]
COUNTS = (250, 500, 1_000, 2_000, 4_000)
KINDS = ("test", "products", "scenes")


@dataclass(frozen=True, slots=True)
class IntoNew:
    """Queries of the new model as they are, and old vectors as a bridge brings them to them."""

    bridge: Bridge

    def queries(self, new: Vectors) -> Vectors:
        return new

    def gallery(self, old: Vectors) -> Vectors:
        return self.bridge.queries(old)


def rows(
    pair: tuple[str, str], spaces: dict[str, Space], labels: dict[str, Any]
) -> list[dict[str, Any]]:
    """The models alone, and the bridge with each number of photos."""
    old, new = (spaces[name] for name in pair)
    found: list[dict[str, Any]] = [
        {"photos": 0, "way": way, "figures": figures(space, space, labels, None)}
        for way, space in (("old model", old), ("new model", new))
    ]
    sides = zip(pair, (old, new), strict=True)
    ids = [ModelId(name, 1, "", side.test.shape[1], name) for name, side in sides]
    card = load_encoder().card
    for count in COUNTS:
        both = old.anchors[:count], new.anchors[:count]
        trial = try_bridges(Path("none.onnx"), card, ids[0], ids[1], *both)
        assert trial.vectors is not None
        assert trial.measured is not None
        into: Any = IntoNew(trial.vectors)
        found.append(
            {
                "photos": count,
                "way": "refused" if trial.by_both else "bridge",
                "figures": figures(new, old, labels, into),
                "measured": trial.measured.figures(),
            }
        )
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = arguments(__doc__)
    parser.add_argument("--work", type=Path, default=Path("bridges-work"))
    options = parser.parse_args()
    pairs = PAIRS[:1] if options.quick else PAIRS
    spaces, labels = spaces_of({name for pair in pairs for name in pair}, options.work)
    results = {}
    for pair in pairs:
        results[" to ".join(pair)] = found = rows(pair, spaces, labels)
        print_table(
            " to ".join(pair),
            ["photos", "", *(f"{kind} {name}" for kind in KINDS for name in ("R@1", "mAP"))],
            [
                (each["photos"], each["way"], *(x for kind in KINDS for x in each["figures"][kind]))
                for each in found
            ],
        )
    write_results("bridge_anchors", results, quick=options.quick)


if __name__ == "__main__":
    main()
