"""`glocal train`."""

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

from glocal.cli.output import readable_bytes
from glocal.errors import LearnError, MissingExtraError
from glocal.learn.part_options import split_options
from glocal.learn.registry import INSTALL, names
from glocal.learn.settings import Settings

_STANDARD = Settings(minutes=1)
_MODEL_BYTES = 100_000_000  # of both files of the largest models here, and one being written


def _choices(kind: Any) -> str:
    return ", ".join(names(kind))


def _option(name: str, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option of `Settings`, with its default."""
    field = name.lstrip("-").replace("-", "_")
    standard = getattr(_STANDARD, field)
    if "type" not in more and standard is not None:
        more["type"] = type(standard)
    return click.option(
        name, field, default=standard, show_default=standard is not None, help=text, **more
    )


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            _option("--backbone", f"{_choices('backbone')}, as timm:resnet50.", metavar="NAME"),
            _option("--weights", "Of the backbone: imagenet, none, a file, hub:OWNER/NAME/FILE."),
            click.option("--start", metavar="FILE", help="Begin with the model of a checkpoint."),
            _option("--head", f"{_choices('head')}.", metavar="NAME"),
            _option(
                "--objective",
                f"{_choices('objective')}; instance takes no labels.",
                metavar="NAME",
            ),
            click.option(
                "--set",
                "options",
                multiple=True,
                metavar="PART.NAME=VALUE",
                help="An option of the head or the objective, as head.power=4 or "
                "objective.margin=0.3; may be given more than once. A wrong name is answered with "
                "those there are.",
            ),
            _option("--dim", "Numbers in the vector."),
            click.option("--epochs", type=float, help="See every image so many times."),
            click.option("--minutes", type=float, help="Train so long, over all sittings."),
            _option("--batch", "Images in a step: labelled, or with two views each."),
            _option("--views", "Images in two views in a step, beside labelled ones."),
            _option("--side", "Learn from square images of so many pixels a side."),
            _option("--input-side", "The finished model takes this, squared, pixels."),
            _option("--lr", "Highest learning rate."),
            _option("--seed", "Of everything random."),
            _option("--freeze", "Keep the weights of so many stages of the backbone, of three."),
            _option("--strength", "Of the alterations of views; labelled images have half."),
            click.option("--mirror", is_flag=True, help="Images may be mirrored."),
            _option(
                "--cutmix", "Share of the views that are mixed of two images, both to be found."
            ),
            _option("--temperature", "Of the self-supervised part."),
            _option("--entropy", "Weight of the spread of vectors in it."),
            _option("--self-weight", "Of the self-supervised part, beside labels."),
            _option("--average", "Decay of the moving average of weights."),
            _option("--check", "Judge every so many steps. 0: each epoch, at most 200."),
            _option("--patience", "End after so many judgements without a better one. 0: never."),
            _option(
                "--final",
                "The vector: the trained projection, or pooled features whitened afterwards.",
                type=click.Choice(["projection", "whitening"]),
            ),
            _option("--workers", "Threads that make images."),
            _option("--device", "cpu, cuda or auto: a GPU where there is one."),
            _option(
                "--precision",
                "Of the network while it learns. auto: half on a GPU, full on a CPU.",
                type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
            ),
        ]
    ):
        command = option(command)
    return command


_folders: dict[str, Any] = {
    "multiple": True,
    "type": click.Path(path_type=Path),
    "metavar": "FOLDER",
}


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MODEL.onnx",
    help="The model's file; one with half-precision weights is written beside it.",
)
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Checkpoints and curves; a training goes on from what is there. [default: MODEL.run]",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Small copies of images, to share between trainings. [default: in the run]",
)
@click.option("--also", help="Learn from these images without labels too.", **_folders)
@click.option("--overlays", help="Lay these images over others.", **_folders)
@click.option("--licence", default="LicenseRef-unstated", help="Of the model, as SPDX names it.")
@click.option("--data-note", multiple=True, help="What to say of the data in the card.")
@_settings
def train(
    data: Path,
    output: Path,
    run: Path | None,
    cache: Path | None,
    also: tuple[Path, ...],
    overlays: tuple[Path, ...],
    licence: str,
    data_note: tuple[str, ...],
    options: tuple[str, ...],
    **chosen: Any,
) -> None:
    """Train a model on images of one's own.

    DATA is a folder with a folder of images for each label; a table with the columns path, label
    and perhaps split (train, val); or, with --objective instance, any folder of images. Training
    goes on from where it was when it is started again with the same options.

    \b
    glocal train products/ -o products.onnx --minutes 60
    glocal train Pictures/ -o mine.onnx --objective instance --final whitening --minutes 60
    """
    settings = Settings(options=split_options(options), **chosen)
    settings.check_sense()
    _require_extra()
    settings = settings.with_options_read()
    _check_output(output)
    from glocal.learn.delivery import deliver
    from glocal.learn.training import train as run_training

    listener = _Terminal()
    with _Stopping() as stopping:
        trained = run_training(
            data,
            settings,
            run=run or output.with_suffix(".run"),
            cache=cache,
            also=also,
            overlays=overlays,
            listener=listener,
            stop=lambda: stopping.asked,
        )
    listener.close()
    if not trained.finished:
        raise click.Abort
    notes = data_note or tuple(
        f"{folder.name}: {sum(s.source == number for s in trained.samples)} images"
        for number, folder in enumerate((data, *also))
    )
    click.echo(f"trained; best after {trained.step} steps", err=True)
    for file in deliver(trained, settings, output, licence=licence, training_data=notes):
        figures = ", ".join(f"{kind} {100 * value:.1f} %" for kind, value in file.figures.items())
        click.echo(
            f"{file.path}: {readable_bytes(file.bytes)}, {figures or 'not evaluated'}; "
            f"within {file.difference:.0e} of the trained model"
        )


def _require_extra() -> None:
    for package in ("torch", "pytorch_metric_learning", "onnx", "onnxscript"):
        if find_spec(package) is None:
            raise MissingExtraError(f"glocal train needs {package}: {INSTALL}")


def _check_output(output: Path) -> None:
    if output.suffix != ".onnx":
        raise LearnError(f"--output has to end in .onnx, unlike {output}")
    if not output.parent.is_dir():
        raise LearnError(f"there is no folder {output.parent} to write {output.name} to")
    if not os.access(output.parent, os.W_OK):
        raise LearnError(f"{output.name} cannot be written: {output.parent} may not be changed")
    from glocal.learn.cache import require_space

    require_space(output.parent, _MODEL_BYTES)


class _Stopping:
    """Turns Ctrl-C into a request to stop after this step; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stopping:
        self._before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
        for name in self._before:
            signal.signal(name, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True


class _Terminal:
    """Shows bars and says what is left out."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._title = ""

    def copying(self, done: int, total: int) -> None:
        self._show("reading images", total).update(done - self._bar.n)

    def skipping(self, unfit: dict[Path, str]) -> None:
        self.close()
        click.echo(f"glocal: {len(unfit)} images cannot be used and are left out:", err=True)
        for path, reason in list(unfit.items())[:20]:
            click.echo(f"    {path}: {reason}", err=True)
        if len(unfit) > 20:
            click.echo(f"    and {len(unfit) - 20} more", err=True)

    def beginning(self, samples: Sequence[Any], done: float) -> None:
        self.close()
        held = sum(sample.split == "validation" for sample in samples)
        labels = len({sample.label for sample in samples if sample.label is not None})
        said = f"{len(samples) - held} images to learn from, {held} to judge by, {labels} labels"
        click.echo(f"glocal: {said}" + (f"; going on at {done:.0%}" if done else ""), err=True)

    def learning(self, done: float, figures: dict[str, float]) -> None:
        bar = self._show("learning", 1000)
        if "mAP" in figures:
            bar.write(
                ", ".join(f"{k} {100 * v:.1f} %" for k, v in figures.items() if "mAP" in k),
                file=sys.stderr,
            )
        bar.set_postfix_str(f"loss {figures['loss']:.3f}", refresh=False)
        bar.update(round(1000 * done) - bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, title: str, total: int) -> Any:
        if self._bar is None or self._title != title:
            from tqdm import tqdm  # only where a bar is shown

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
