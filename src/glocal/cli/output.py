"""Output for people (sizes, paths, progress bars) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from glocal.encoders.stitches import Stitch
from glocal.errors import GlocalError
from glocal.gallery import Progress
from glocal.gallery.results import plain
from glocal.images.url_paths import UrlPath
from glocal.visible_text import visible


def say(line: str = "", *, err: bool = False) -> None:
    """Print one line; characters of file names that would act on a terminal become escapes."""
    click.echo(visible(line), err=err)


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a result as one JSON value; undecodable bytes of file names become surrogates."""
    click.echo(json.dumps(plain(value), indent=indent))


def readable_bytes(count: int) -> str:
    """A size in the unit that keeps the number short, such as ``1.5 MB``."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def check_folder(target: Path) -> None:
    """Check, before any work is done, that there is a folder for a file that will be written.

    Raises:
        GlocalError: There is no such folder.
    """
    if not target.absolute().parent.is_dir():
        raise GlocalError(
            f"{target} cannot be written: there is no folder {target.parent}; make it first"
        )


def counted(count: int, noun: str) -> str:
    """A number with its noun, such as ``1 file`` and ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short_path(path: Path) -> str:
    """A path relative to the working folder, where that is shorter."""
    if isinstance(path, UrlPath):
        return str(path)
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return relative if len(relative) < len(str(path)) else str(path)


class Bar:
    """A progress bar on standard error, shown only on a terminal."""

    def __init__(self, *, show: bool) -> None:
        self._show = show and sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Show the progress of a run."""
        if not self._show:
            return
        if progress.stage != self._stage:
            self._begin(progress)
        bar = self._bar
        if progress.stage == "encode":
            bar.set_postfix_str(
                f"{progress.unchanged} unchanged, {progress.failed} skipped", refresh=False
            )
        if progress.stage == "graph":
            bar.refresh()
        else:
            bar.update(progress.done - bar.n)

    def _begin(self, progress: Progress) -> None:
        from tqdm import tqdm  # only where a bar is shown

        self.close()
        self._stage = progress.stage
        titles = {
            "scan": "scanning",
            "measure": "encoding a sample",
            "encode": "indexing",
            "read": "reading words",
            "graph": "building the search graph",
            "move": "moving",
            "neighbours": "finding neighbours",
            "verify": "comparing",
        }
        styles: dict[str, Any] = {
            "scan": {"unit": " files"},
            "measure": {"unit": " photos", "total": progress.total},
            "encode": {"unit": " photos", "total": progress.total, "smoothing": 0.1},
            "read": {"unit": " photos", "total": progress.total},
            "graph": {"bar_format": "{desc}: {elapsed}"},
            "move": {"unit": " vectors", "total": progress.total},
            "neighbours": {"unit": " photos", "total": progress.total},
            "verify": {"unit": " pairs", "total": progress.total},
        }
        self._bar = tqdm(
            desc=titles[progress.stage],
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
            mininterval=0.2,
            **styles[progress.stage],
        )

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def stitch_line(stitch: Stitch) -> str:
    """What a person wants to know of one of the encoders in a file."""
    return (
        f"{stitch.name}: {stitch.macs / 1e9:.2f} GMAC, about {100 * stitch.time:.0f} % of the time "
        f"of the slowest, vectors of cosine {stitch.agreement:.3f} to the large model's"
    )
