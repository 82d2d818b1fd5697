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

from glocal.cli.options import PartOption, listed
from glocal.cli.output import check_folder, counted, readable_bytes, say
from glocal.errors import LearnError, MissingExtraError
from glocal.learn import INSTALL
from glocal.learn.part_options import split_options
from glocal.learn.settings import INSTANCE, Settings
from glocal.registry import Kind

_STANDARD = Settings(minutes=1)
_MODEL_BYTES = 100_000_000  # both files of the largest bundled model, and one being written


def _option(name: str, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option for a field of `Settings`, with its default."""
    field = name.lstrip("-").replace("-", "_")
    standard = getattr(_STANDARD, field)
    if "type" not in more and standard is not None:
        more["type"] = type(standard)
    return click.option(
        name, field, default=standard, show_default=standard is not None, help=text, **more
    )


def _part_option(name: str, kind: Kind, more: str) -> Callable[[Any], Any]:
    """An option of `Settings` that names a part."""
    return click.option(
        name,
        cls=PartOption,
        kind=kind,
        describe=lambda: listed(kind) + more,
        default=getattr(_STANDARD, kind),
        show_default=True,
        metavar="NAME",
    )


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            _part_option(
                "--backbone", "backbone", "; timm takes any of its models, such as timm:resnet50."
            ),
            _option(
                "--weights",
                "Initial weights of the backbone: imagenet, none, a file, or hub:OWNER/NAME/FILE.",
            ),
            click.option(
                "--block",
                cls=PartOption,
                kind="block",
                describe=lambda: f"Graft a block into the backbone: {listed('block')}.",
                metavar="NAME",
            ),
            click.option(
                "--start", metavar="FILE", help="Start from the model in this checkpoint."
            ),
            click.option(
                "--compatible-with",
                metavar="OLD.onnx",
                help="Keep vectors comparable with those of this model, by a recipe such as cl2r, "
                "d-simplex, oca or fcpl, or the objective cores; galleries that it indexed can "
                "then be searched at once.",
            ),
            _part_option("--head", "head", "."),
            _part_option("--objective", "objective", f"; {INSTANCE} learns without labels."),
            _part_option("--recipe", "recipe", "."),
            click.option(
                "--set",
                "options",
                multiple=True,
                metavar="PART.NAME=VALUE",
                help="Set an option of the head, the objective or the recipe, such as head.power=4 "
                "or objective.margin=0.3; may be given more than once. An unknown name is answered "
                "with a list of all options.",
            ),
            _option("--dim", "Length of the vector."),
            click.option(
                "--epochs",
                type=float,
                help="How often each photo is used, if --minutes is not given.",
            ),
            click.option(
                "--minutes",
                type=float,
                help="How long to train, summed over interrupted runs.",
            ),
            _option(
                "--batch",
                "Photos in a training step: labelled ones, or unlabelled ones in two views each.",
            ),
            _option(
                "--views", "Unlabelled photos, in two views each, added to a step of labelled ones."
            ),
            _option("--side", "Side of the square training images, in pixels."),
            _option(
                "--input-side",
                "Input size of the finished model: images with as many pixels as a square of this "
                "side.",
            ),
            _option("--lr", "Highest learning rate."),
            _option("--seed", "Seed of all random choices."),
            _option(
                "--freeze", "Number of the backbone's three stages whose weights are not trained."
            ),
            _option(
                "--strength",
                "Strength of the augmentation of views; labelled photos get half of it.",
            ),
            click.option("--mirror", is_flag=True, help="Also mirror photos."),
            _option("--cutmix", "Share of the views that mix two photos and have to match both."),
            _option("--temperature", "Temperature of the self-supervised loss."),
            _option(
                "--entropy",
                "Weight of the entropy term in the self-supervised loss; it spreads vectors out.",
            ),
            _option(
                "--self-weight", "Weight of the self-supervised loss where there are labels too."
            ),
            _option("--average", "Decay of the moving average of weights."),
            _option("--check", "Steps between evaluations; 0: one epoch, but at most 200 steps."),
            _option(
                "--patience",
                "Stop early after this many evaluations without improvement; 0: never.",
            ),
            _option(
                "--final",
                "Make the vector by the trained projection, or by whitening the pooled features.",
                type=click.Choice(["projection", "whitening"]),
            ),
            _option("--workers", "Threads that prepare training images."),
            _option("--device", "cpu, cuda, or auto: a GPU if there is one."),
            _option(
                "--precision",
                "Precision of the network in training; auto: half on a GPU, full on a CPU.",
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
    help="The model file to write; one with half-precision weights is written beside it.",
)
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for checkpoints and curves, from which training continues. [default: MODEL.run]",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for small copies of photos, which several runs can share. [default: in --run]",
)
@click.option(
    "--also",
    help="Also learn from these photos without labels; may be given more than once.",
    **_folders,
)
@click.option(
    "--overlays",
    help="Augment photos by overlaying these; may be given more than once.",
    **_folders,
)
@click.option(
    "--licence",
    default="LicenseRef-unstated",
    show_default=True,
    help="SPDX identifier of the model's licence, for its card.",
)
@click.option(
    "--data-note",
    multiple=True,
    help="A line about the training data for the model's card; may be given more than once.",
)
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
    """Train a model on your own photos.

    DATA is a folder with a folder of photos for each label; a CSV file with the columns path,
    label and optionally split (train, val); or, with --objective instance, any folder of photos.
    An interrupted training continues when it is started again with the same options.

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
            stop=lambda: stopping.requested,
        )
    listener.close()
    if not trained.finished:
        raise click.Abort
    notes = data_note or tuple(
        f"{folder.name}: {sum(s.source == number for s in trained.samples)} images"
        for number, folder in enumerate((data, *also))
    )
    say(f"trained; the best model is that of step {trained.step}", err=True)
    for file in deliver(trained, settings, output, licence=licence, training_data=notes):
        figures = ", ".join(f"{kind} {100 * value:.1f} %" for kind, value in file.figures.items())
        say(
            f"{file.path}: {readable_bytes(file.bytes)}, {figures or 'not evaluated'}; "
            f"outputs differ from the trained model's by at most {file.difference:.0e}"
        )


def _require_extra() -> None:
    for package in ("torch", "pytorch_metric_learning", "onnx", "onnxscript"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"glocal train needs the package {package}, which is not installed; run: {INSTALL}"
            )


def _check_output(output: Path) -> None:
    if output.suffix != ".onnx":
        raise LearnError(f"--output {output} does not end in .onnx; name a file that does")
    check_folder(output)
    if not os.access(output.parent, os.W_OK):
        raise LearnError(
            f"{output.name} cannot be written: the folder {output.parent} is read-only; use another"
        )
    from glocal.learn.cache import require_space

    require_space(output.parent, _MODEL_BYTES)


class _Stopping:
    """Turns a first Ctrl-C into a request to stop after this step; a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> _Stopping:
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


class _Terminal:
    """Shows progress bars and lists the photos that are left out."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._title = ""

    def copying(self, done: int, total: int) -> None:
        self._show("reading photos", total).update(done - self._bar.n)

    def skipping(self, unfit: dict[Path, str]) -> None:
        self.close()
        say(
            f"glocal: {counted(len(unfit), 'photo')} cannot be used and will be left out:", err=True
        )
        for path, reason in list(unfit.items())[:20]:
            say(f"    {path}: {reason}", err=True)
        if len(unfit) > 20:
            say(f"    and {len(unfit) - 20} more", err=True)

    def beginning(self, samples: Sequence[Any], done: float) -> None:
        self.close()
        held = sum(sample.split == "validation" for sample in samples)
        labels = len({sample.label for sample in samples if sample.label is not None})
        said = f"{len(samples) - held} photos to train on, {held} to evaluate on, {labels} labels"
        say(f"glocal: {said}" + (f"; continuing at {done:.0%}" if done else ""), err=True)

    def learning(self, done: float, figures: dict[str, float]) -> None:
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
