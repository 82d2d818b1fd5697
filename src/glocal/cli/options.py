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
    help="Folder of the gallery. [default: GLOCAL_GALLERY, or one per user]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for other processes that use the gallery.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a model."""
    named = click.option(
        "--model",
        metavar="NAME",
        help="Model to use: a name, a file, or OWNER/NAME[:FILE.onnx][@REVISION] on a model hub.",
    )
    hashed = click.option(
        "--model-sha256", metavar="HEX", help="Use the model only if its file has this SHA-256."
    )
    return named(hashed(command))


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that limit how large files and images may be."""
    standard = Limits()
    size = click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        default=standard.max_bytes,
        show_default=True,
        metavar="BYTES",
        help="Skip larger files.",
    )
    pixels = click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=standard.max_pixels,
        show_default=True,
        metavar="PIXELS",
        help="Skip photos with more pixels.",
    )
    return size(pixels(command))
