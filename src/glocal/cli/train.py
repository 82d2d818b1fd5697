"""`glocal train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from glocal.cli.options import FilePath, PartOption, listed
from glocal.cli.output import readable_bytes, say
from glocal.cli.training import (
    STANDARD,
    Stopping,
    Terminal,
    check_output,
    file_options,
    licence_option,
    machine_options,
    require_extra,
    setting_option,
    several,
)
from glocal.learn.part_options import split_options
from glocal.learn.settings import INSTANCE, Settings
from glocal.registry import Kind


def _part_option(name: str, kind: Kind, more: str) -> Callable[[Any], Any]:
    """An option of `Settings` that names a part."""
    return click.option(
        name,
        cls=PartOption,
        kind=kind,
        describe=lambda: listed(kind) + more,
        default=getattr(STANDARD, kind),
        show_default=True,
        metavar="NAME",
    )


_settings = several(
    _part_option(
        "--backbone", "backbone", "; timm takes any of its models, such as timm:resnet50."
    ),
    setting_option(
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
    click.option("--start", metavar="FILE", help="Start from the model in this checkpoint."),
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
    setting_option("--dim", "Length of the vector."),
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
    setting_option(
        "--batch",
        "Photos in a training step: labelled ones, or unlabelled ones in two views each.",
    ),
    setting_option(
        "--views", "Unlabelled photos, in two views each, added to a step of labelled ones."
    ),
    setting_option("--side", "Side of the square training images, in pixels."),
    setting_option(
        "--input-side",
        "Input size of the finished model: images with as many pixels as a square of this side.",
    ),
    setting_option("--lr", "Highest learning rate."),
    setting_option("--seed", "Seed of all random choices."),
    setting_option(
        "--freeze", "Number of the backbone's three stages whose weights are not trained."
    ),
    setting_option(
        "--strength",
        "Strength of the augmentation of views; labelled photos get half of it.",
    ),
    click.option("--mirror", is_flag=True, help="Also mirror photos."),
    setting_option("--cutmix", "Share of the views that mix two photos and have to match both."),
    setting_option("--temperature", "Temperature of the self-supervised loss."),
    setting_option(
        "--entropy",
        "Weight of the entropy term in the self-supervised loss; it spreads vectors out.",
    ),
    setting_option(
        "--self-weight", "Weight of the self-supervised loss where there are labels too."
    ),
    setting_option("--average", "Decay of the moving average of weights."),
    setting_option("--check", "Steps between evaluations; 0: one epoch, but at most 200 steps."),
    setting_option(
        "--patience",
        "Stop early after this many evaluations without improvement; 0: never.",
    ),
    setting_option(
        "--final",
        "Make the vector by the trained projection, or by whitening the pooled features.",
        type=click.Choice(["projection", "whitening"]),
    ),
    machine_options,
)


_folders: dict[str, Any] = {
    "multiple": True,
    "type": FilePath(),
    "metavar": "FOLDER",
}


@click.command()
@click.argument("data", type=FilePath())
@file_options
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
@licence_option
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
    require_extra("train")
    settings = settings.with_options_read()
    check_output(output)
    from glocal.learn.delivery import deliver
    from glocal.learn.training import train as run_training

    listener = Terminal()
    with Stopping() as stopping:
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
