"""`glocal stitch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glocal.cli.options import FilePath
from glocal.cli.output import readable_bytes, say, stitch_line
from glocal.cli.training import (
    Stopping,
    Terminal,
    check_output,
    file_options,
    licence_option,
    machine_options,
    require_extra,
    setting_option,
)
from glocal.errors import LearnError
from glocal.learn.settings import Settings

_TRAINING = FilePath()


@click.command()
@click.argument("small", type=_TRAINING)
@click.argument("large", type=_TRAINING)
@click.argument("photos", type=_TRAINING)
@file_options
@licence_option
@click.option(
    "--epochs", type=float, help="How often each photo is used, if --minutes is not given."
)
@click.option("--minutes", type=float, help="How long to train, summed over interrupted runs.")
@setting_option("--batch", "Photos in a training step.")
@setting_option("--side", "Side of the square training images, in pixels.")
@setting_option(
    "--input-side",
    "Input size of the finished model: images with as many pixels as a square of this side.",
)
@setting_option("--lr", "Highest learning rate.")
@setting_option("--seed", "Seed of all random choices.")
@setting_option("--strength", "Strength of the augmentation of photos.")
@setting_option("--average", "Decay of the moving average of weights.")
@machine_options
def stitch(
    small: Path,
    large: Path,
    photos: Path,
    output: Path,
    run: Path | None,
    cache: Path | None,
    licence: str,
    **chosen: Any,
) -> None:
    """Put a small and a large model into one file, with what is between them.

    SMALL and LARGE are the folders of two trainings by glocal train (MODEL.run). PHOTOS is any
    folder of photos; no labels are needed. The large model stays as it is, and everything else in
    the file learns to give its vectors: where LARGE.onnx lies beside LARGE.run, galleries that it
    has indexed can be searched with the new file at once. --budget-ms of glocal index, search and
    serve then chooses how much time an image may take.

    \b
    glocal stitch small.run large.run photos/ -o both.onnx --minutes 60
    glocal search query.jpg --model both.onnx --budget-ms 20
    """
    require_extra("stitch")
    check_output(output)
    for folder in (small, large):
        if not folder.exists():
            raise LearnError(
                f"there is no training {folder}; name the folder MODEL.run that glocal train made"
            )
    from glocal.learn.stitch_delivery import deliver_stitches
    from glocal.learn.stitch_training import train_stitches

    settings = Settings(objective="instance", patience=0, **chosen)
    listener = Terminal()
    with Stopping() as stopping:
        pair = train_stitches(
            small,
            large,
            photos,
            settings,
            run=run or output.with_suffix(".run"),
            cache=cache,
            listener=listener,
            stop=lambda: stopping.requested,
        )
    listener.close()
    if not pair.finished:
        raise click.Abort
    run_folder = large if large.is_dir() else large.parent
    own = run_folder.with_suffix(".onnx")
    delivered = deliver_stitches(
        pair,
        output,
        licence=licence,
        training_data=[f"{photos.name}: {len(pair.samples)} images"],
        large_file=own if own.is_file() else None,
    )
    for file in delivered:
        say(
            f"{file.path}: {readable_bytes(file.bytes)}, vectors of the space {file.space}; "
            f"outputs differ from the trained network's by at most {file.difference:.0e}"
        )
    for each in delivered[0].stitches:
        say(f"  {stitch_line(each)}")
