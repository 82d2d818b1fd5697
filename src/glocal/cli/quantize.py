"""`glocal quantize`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from glocal.cli.options import FilePath
from glocal.cli.output import readable_bytes, say
from glocal.cli.stages import Stages, say_skipped
from glocal.cli.training import STANDARD, check_output
from glocal.errors import LearnError, MissingExtraError
from glocal.learn import INSTALL


@click.command()
@click.argument("model")
@click.option(
    "--images",
    required=True,
    type=FilePath(),
    metavar="FOLDER",
    help="Some hundred images of the kind that the model will see; no labels are needed.",
)
@click.option(
    "-o",
    "--output",
    type=FilePath(dir_okay=False),
    metavar="MODEL.int8.onnx",
    help="The file to write. [default: beside MODEL, where it is used at once; the current folder "
    "for a bundled model]",
)
@click.option(
    "--steps",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Train the weights for so many steps to agree with MODEL; some hundred take minutes.",
)
@click.option("--seed", type=int, default=STANDARD.seed, show_default=True, help="Of all choices.")
def quantize(model: str, images: Path, output: Path | None, steps: int, seed: int) -> None:
    """Make a twin of MODEL whose numbers are bytes: half the time on many processors.

    MODEL is a file that glocal train wrote, or the name of a bundled model. The twin lies beside
    it as MODEL.int8.onnx and speaks the same space: wherever MODEL is used, in old galleries too,
    the faster of the two encodes, which is tried once on each machine. GLOCAL_PRECISION=float or
    =int8 in the environment decides otherwise.

    \b
    glocal quantize shop.onnx --images photos/ --steps 300
    """
    needed = ("onnx", "torch") if steps else ("onnx",)
    for package in needed:
        if find_spec(package) is None:
            raise MissingExtraError(
                f"glocal quantize needs the package {package}, which is not installed; run: "
                f"{INSTALL}"
            )
    from glocal.encoders import bundled_models, find_model
    from glocal.encoders.precision import SUFFIX, twin_path
    from glocal.learn.collection import read_unlabelled
    from glocal.learn.quantized_delivery import quantize as make

    path = find_model(model)
    if output is None:
        bundled = path in bundled_models().values()
        output = Path.cwd() / f"{path.stem}{SUFFIX}" if bundled else twin_path(path)
    check_output(output)
    if output.exists() and output.resolve() == path.resolve():
        raise LearnError(f"--output {output} is the model itself; name another file")
    photos = [sample.path for sample in read_unlabelled(images, 0)]
    bar = Stages()
    try:
        found = make(path, photos, output, steps=steps, seed=seed, listen=bar.show)
    finally:
        bar.close()
    say_skipped(found.skipped)
    say(
        f"{found.path}: {readable_bytes(found.bytes)}, {found.time:.2f} of the time in float; "
        f"made with {found.images} images, {found.floats} layers in float"
    )
    say(
        f"on {found.aside} images kept aside vectors agree by {found.median:.4f} (the least "
        f"{found.least:.4f}), local descriptors by {found.descriptors:.4f}, and "
        f"{100 * found.keypoints:.0f} % of keypoints are the same"
    )
