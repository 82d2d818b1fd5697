"""The log of a training, step by step: lines of JSON, and a chart of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 720, 240, 46
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#9333ea", "#d97706")
_SMOOTH = 60  # points of a curve, each the mean of neighbouring steps

Point = tuple[float, float]


class Curves:
    """The log of one training.

    Args:
        path: file of JSON lines; the chart lies beside it.
        step: step of the checkpoint that is resumed; later lines belong to lost steps.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [line for line in _lines(path) if line["step"] <= step]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(partial, path)

    def add(self, values: Mapping[str, Any]) -> None:
        """Write one line, which has to have a ``step``."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(values)) + "\n")

    def draw(self) -> Path:
        """Draw the chart of all lines so far, and return its path."""
        losses: dict[str, list[Point]] = {}
        figures: dict[str, list[Point]] = {}
        for line in _lines(self.path):
            for name, value in line.items():
                if name.startswith("loss"):
                    losses.setdefault(name, []).append((line["step"], value))
                elif name.startswith("mAP"):
                    figures.setdefault(name, []).append((line["step"], value))
        panels = [("loss", {name: _smoothed(points) for name, points in losses.items()})]
        if figures:
            panels.append(("retrieval on held-out images", figures))
        image = self.path.with_suffix(".svg")
        partial = image.with_suffix(".partial")
        partial.write_text(_svg(panels), encoding="utf-8")
        os.replace(partial, image)
        return image


def _lines(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break  # cut off by a kill
    return found


def _smoothed(points: Sequence[Point]) -> list[Point]:
    size = max(1, len(points) // _SMOOTH)
    blocks = [points[begin : begin + size] for begin in range(0, len(points), size)]
    return [
        (sum(x for x, _ in block) / len(block), sum(y for _, y in block) / len(block))
        for block in blocks
    ]


def _svg(panels: Sequence[tuple[str, Mapping[str, Sequence[Point]]]]) -> str:
    height = _HEIGHT * len(panels)
    body = [
        line
        for number, (title, curves) in enumerate(panels)
        for line in _panel(title, curves, number * _HEIGHT)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(title: str, curves: Mapping[str, Sequence[Point]], top: int) -> list[str]:
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return []
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    wide, tall = max(right - left, 1e-9), max(high - low, 1e-9)
    inner, deep = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    bottom = top + _HEIGHT - _MARGIN

    def place(point: Point) -> str:
        x = _MARGIN + (point[0] - left) / wide * inner
        return f"{x:.1f},{bottom - (point[1] - low) / tall * deep:.1f}"

    lines = [
        f'<text x="{_MARGIN}" y="{top + 18}" font-size="13">{escape(title)}</text>',
        f'<rect x="{_MARGIN}" y="{top + _MARGIN}" width="{inner}" height="{deep}" fill="none" '
        'stroke="#cbd5e1"/>',
        f'<text x="{_MARGIN - 4}" y="{bottom}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{_MARGIN - 4}" y="{top + _MARGIN + 9}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{_MARGIN}" y="{bottom + 14}">step {left:.0f}</text>',
        f'<text x="{_WIDTH - _MARGIN}" y="{bottom + 14}" text-anchor="end">{right:.0f}</text>',
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn = " ".join(map(place, curve))
        lines.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        lines += [
            f'<circle cx="{xy.split(",")[0]}" cy="{xy.split(",")[1]}" r="2" fill="{colour}"/>'
            for xy in (drawn.split() if len(curve) < 40 else [])
        ]
        lines.append(
            f'<text x="{_MARGIN + 8 + number * 130}" y="{top + 36}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return lines
