"""Draw the plot of ``growth.py``: four small charts over the size of a gallery, as SVG.

The colours are Okabe and Ito's, which people with any colour vision can tell apart; the lines also
differ in their markers. ``growth.py --replot`` draws it again; this module cannot be run by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_INK, _GRID = "#333333", "#dddddd"
_STYLE: Any = {
    "svg.hashsalt": "glocal",  # the same numbers give the same file
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

# Title, unit, then for each line: key in the rows, label, colour, mark.
_CHARTS: list[tuple[str, str, list[tuple[str, str, str, str]]]] = [
    (
        "Search by vector",
        "ms",
        [("p95_ms", "95th percentile", _ORANGE, "s"), ("p50_ms", "median", _BLUE, "o")],
    ),
    (
        "Memory of the process that searches",
        "MB",
        [("peak_mb", "with mapped files", _ORANGE, "s"), ("own_mb", "its own", _BLUE, "o")],
    ),
    (
        "Disk per image",
        "bytes",
        [
            ("bytes_each", "all", _ORANGE, "s"),
            ("bytes_each_without_model", "without local features and model", _BLUE, "o"),
        ],
    ),
    (
        "Once",
        "s",
        [
            ("write_s", "write all", _ORANGE, "s"),
            ("graph_s", "build the graph", _GREEN, "^"),
            ("open_s", "open", _BLUE, "o"),
        ],
    ),
]


def draw(rows: Sequence[dict[str, float]], target: Path) -> None:
    """Draw the rows of ``growth.py`` into an SVG file; needs matplotlib."""
    import matplotlib as mpl  # not among glocal's own dependencies

    mpl.use("svg")
    from matplotlib import pyplot

    with mpl.rc_context(_STYLE):
        figure, axes = pyplot.subplots(2, 2, figsize=(9.6, 6.6), layout="constrained")
        figure.patch.set_facecolor("white")
        for axis, (title, unit, lines) in zip(axes.flat, _CHARTS, strict=True):
            _chart(axis, rows, title, unit, lines)
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, metadata={"Date": None})
        pyplot.close(figure)


def _chart(
    axis: Any,
    rows: Sequence[dict[str, float]],
    title: str,
    unit: str,
    lines: Sequence[tuple[str, str, str, str]],
) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    highest = 0.0
    lowest = float("inf")
    for key, label, colour, mark in lines:
        # A graph that was never built took no time, and a log scale has no zero.
        points = [(row["images"], row[key]) for row in rows if row[key] > 0.01 or key != "graph_s"]
        if points:
            axis.plot(*zip(*points, strict=True), color=colour, marker=mark, lw=2, label=label)
            highest = max(highest, *(y for _, y in points))
            lowest = min(lowest, *(y for _, y in points))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.margins(x=0.08)
    # Whole decades: a nearly flat line would fill the height otherwise.
    axis.set_ylim(10 ** floor(log10(lowest / 1.15)), 10 ** ceil(log10(highest * 1.15)))
    axis.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axis.set_ylabel(unit)
    axis.set_xlabel("images")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter(FuncFormatter(_plain))
        scale.set_minor_formatter(NullFormatter())
    axis.grid(visible=True, which="major", color=_GRID, lw=0.8)
    axis.set_axisbelow(True)
    axis.legend(frameon=False, fontsize=10)


def _plain(value: float, _: object) -> str:
    """1k and 1M rather than powers of ten."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"
