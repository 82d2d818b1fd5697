"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from glocal.images import Limits

gallery_option = click.option(
    "-g",
    "--gallery",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The gallery's folder. [default: GLOCAL_GALLERY, or one per user]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait while another process uses the gallery.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that name a model."""
    named = click.option(
        "--model",
        metavar="NAME",
        help="A model's name, file, or hub name OWNER/NAME[:FILE.onnx][@REVISION].",
    )
    hashed = click.option(
        "--model-sha256", metavar="HEX", help="Refuse the model unless its file has this SHA-256."
    )
    return named(hashed(command))


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that bound what is read."""
    standard = Limits()
    size = click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        default=standard.max_bytes,
        show_default=True,
        help="Skip larger files.",
    )
    pixels = click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=standard.max_pixels,
        show_default=True,
        help="Skip images with more pixels.",
    )
    return size(pixels(command))
