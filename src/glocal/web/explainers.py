"""The explainers of the registry, as the server offers them.

An explainer that gives plain values is answered with JSON, so that the page can light up a point's
counterpart while the cursor moves, without asking again; any other with its figure as PNG. All
points are x and y as fractions of the image, or of the region that was searched for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from glocal.explain import explain
from glocal.gallery.results import plain
from glocal.registry import names
from glocal.web.explaining import Explainer, Explanation, Pair


def explainers() -> Mapping[str, Explainer]:
    """All explainers, by name."""
    return {name: partial(_explained, name) for name in names("explainer")}


def _explained(kind: str, pair: Pair) -> Explanation:
    made = explain(pair.query, pair.hit, kind=kind, encoder=pair.gallery.encoder)
    if made.data is None:
        return Explanation(made.figure.encoded("png"), "image/png")
    body = json.dumps(plain(made.data), separators=(",", ":"))
    return Explanation(body.encode(), "application/json")
