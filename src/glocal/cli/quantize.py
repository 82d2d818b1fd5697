"""`glocal quantize`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from glocal.cli.options import FilePath
from glocal.cli.output import readable_bytes, say
from glocal.cli.training import STANDARD, check_output
from glocal.errors import LearnError, MissingExtraError
from glocal.learn import INSTALL

_SHOWN = 5  # files that could not be read


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
    bar = _Bar()
    found = make(path, photos, output, steps=steps, seed=seed, listen=bar.show)
    bar.close()
    for name, reason in list(found.skipped.items())[:_SHOWN]:
        say(f"glocal: {name} is left out: {reason}", err=True)
    if len(found.skipped) > _SHOWN:
        say(f"glocal: and {len(found.skipped) - _SHOWN} more", err=True)
    say(
        f"{found.path}: {readable_bytes(found.bytes)}, {found.time:.2f} of the time in float; "
        f"made with {found.images} images, {found.floats} layers in float"
    )
    say(
        f"on {found.aside} images kept aside vectors agree by {found.median:.4f} (the least "
        f"{found.least:.4f}), local descriptors by {found.descriptors:.4f}, and "
        f"{100 * found.keypoints:.0f} % of keypoints are the same"
    )


class _Bar:
    """A bar for each stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def show(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm  # imported only where a bar is shown

        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, leave=False, disable=None)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
