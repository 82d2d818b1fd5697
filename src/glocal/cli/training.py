"""What the commands that train a model share: options, a bar of progress, stopping by Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import click

from glocal.cli.options import FilePath
from glocal.cli.output import check_folder, counted, say
from glocal.errors import LearnError, MissingExtraError
from glocal.learn import INSTALL
from glocal.learn.settings import Settings

STANDARD = Settings(minutes=1)
"""Settings whose values are the defaults of options."""

_MODEL_BYTES = 100_000_000  # both files of the largest bundled model, and one being written


def setting_option(name: str, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option for a field of `Settings`, with its default."""
    field = name.lstrip("-").replace("-", "_")
    standard = getattr(STANDARD, field)
    if "type" not in more and standard is not None:
        more["type"] = type(standard)
    return click.option(
        name, field, default=standard, show_default=standard is not None, help=text, **more
    )


def several(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator for several options, in their order."""

    def all_of(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return all_of


file_options = several(
    click.option(
        "-o",
        "--output",
        required=True,
        type=FilePath(dir_okay=False),
        metavar="MODEL.onnx",
        help="The model file to write; one with half-precision weights is written beside it.",
    ),
    click.option(
        "--run",
        type=FilePath(file_okay=False),
        metavar="DIR",
        help="Folder for checkpoints and curves, from which training continues. "
        "[default: MODEL.run]",
    ),
    click.option(
        "--cache",
        type=FilePath(file_okay=False),
        metavar="DIR",
        help="Folder for small copies of photos, which several runs can share. [default: in --run]",
    ),
)
"""Where a training writes."""

licence_option = click.option(
    "--licence",
    default="LicenseRef-unstated",
    show_default=True,
    help="SPDX identifier of the model's licence, for its card.",
)

machine_options = several(
    setting_option("--workers", "Threads that prepare training images."),
    setting_option("--device", "cpu, cuda, or auto: a GPU if there is one."),
    setting_option(
        "--precision",
        "Precision of the network in training; auto: half on a GPU, full on a CPU.",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    ),
)
"""How a training uses the machine."""


def require_extra(command: str) -> None:
    """Check that what a command which trains needs is installed.

    Raises:
        MissingExtraError: it is not.
    """
    for package in ("torch", "pytorch_metric_learning", "onnx", "onnxscript"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"glocal {command} needs the package {package}, which is not installed; "
                f"run: {INSTALL}"
            )


def check_output(output: Path) -> None:
    """Check that a model file can be written before there is any to write.

    Raises:
        LearnError: it cannot, or is not named like a model.
        DiskFullError: there is too little space.
    """
    if output.suffix != ".onnx":
        raise LearnError(f"--output {output} does not end in .onnx; name a file that does")
    check_folder(output)
    if not os.access(output.parent, os.W_OK):
        raise LearnError(
            f"{output.name} cannot be written: the folder {output.parent} is read-only; use another"
        )
    from glocal.learn.cache import require_space

    require_space(output.parent, _MODEL_BYTES)


class Stopping:
    """Turns a first Ctrl-C into a request to stop after this step; a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Stopping:
        self._before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
        for name in self._before:
            signal.signal(name, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            signal.default_int_handler(number, frame)
        self.requested = True


class Terminal:
    """Shows progress bars and lists the photos that are left out."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._title = ""

    def copying(self, done: int, total: int) -> None:
        """Called when more photos are copied."""
        self._show("reading photos", total).update(done - self._bar.n)

    def skipping(self, unfit: dict[Path, str]) -> None:
        """Called with the photos that cannot be used."""
        self.close()
        say(
            f"glocal: {counted(len(unfit), 'photo')} cannot be used and will be left out:", err=True
        )
        for path, reason in list(unfit.items())[:20]:
            say(f"    {path}: {reason}", err=True)
        if len(unfit) > 20:
            say(f"    and {len(unfit) - 20} more", err=True)

    def beginning(self, samples: Sequence[Any], done: float) -> None:
        """Called when the training begins or continues."""
        self.close()
        held = sum(sample.split == "validation" for sample in samples)
        labels = len({sample.label for sample in samples if sample.label is not None})
        said = f"{len(samples) - held} photos to train on, {held} to evaluate on, {labels} labels"
        say(f"glocal: {said}" + (f"; continuing at {done:.0%}" if done else ""), err=True)

    def learning(self, done: float, figures: dict[str, float]) -> None:
        """Called after each step."""
        bar = self._show("training", 1000)
        if "mAP" in figures:
            bar.write(
                ", ".join(f"{k} {100 * v:.1f} %" for k, v in figures.items() if "mAP" in k),
                file=sys.stderr,
            )
        bar.set_postfix_str(f"loss {figures['loss']:.3f}", refresh=False)
        bar.update(round(1000 * done) - bar.n)

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, title: str, total: int) -> Any:
        if self._bar is None or self._title != title:
            from tqdm import tqdm  # imported only where a bar is shown

            self.close()
            self._title = title
            self._bar = tqdm(
                desc=title,
                total=total,
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
                mininterval=0.5,
                bar_format="{desc} {percentage:5.1f} % |{bar}| {elapsed}<{remaining} {postfix}",
                disable=None,
            )
        return self._bar
