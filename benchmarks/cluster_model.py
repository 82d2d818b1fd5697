"""The cost model of `docs/scale.md`, for ``cluster_growth.py --model``; see there."""

from __future__ import annotations

from typing import Any


def print_model(rows: list[dict[str, Any]]) -> None:
    print(rows)
