"""`glocal compress`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glocal.cli.options import FilePath, PartOption
from glocal.cli.output import readable_bytes, say
from glocal.cli.stages import Stages, say_skipped
from glocal.cli.training import STANDARD, Stopping, check_output
from glocal.errors import MissingExtraError
from glocal.learn import INSTALL
from glocal.registry import names

if TYPE_CHECKING:
    from glocal.learn.compress.delivery import Compressed

_GOALS = ("flops", "time")


def _goal(ctx: click.Context, option: click.Parameter, value: str) -> tuple[str, float]:
    """The two sides of a goal such as ``flops=0.5``."""
    what, _, share = value.partition("=")
    try:
        number = float(share)
    except ValueError:
        number = 0.0
    if what not in _GOALS or not 0 < number < 1:
        raise click.BadParameter(
            f"{value} is no goal; write flops=0.5 to keep half of the operations, or time=0.7 to "
            "keep that share of the time on this machine",
            ctx,
            option,
        )
    return what, number


@click.command()
@click.argument("model")
@click.option(
    "--images",
    required=True,
    type=FilePath(),
    metavar="FOLDER",
    help="Some thousand images of the kind that the model will see; no labels are needed.",
)
@click.option(
    "--labelled",
    is_flag=True,
    help="The images lie in a folder for each label, or FOLDER is a table of paths and labels: "
    "measure accuracy on some that are kept aside. Nothing is learned from labels.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=FilePath(dir_okay=False),
    metavar="SMALL.onnx",
    help="The model file to write; it must not be there yet.",
)
@click.option(
    "--method",
    cls=PartOption,
    kind="compressor",
    describe=lambda: f"How channels are chosen: {', '.join(names('compressor', trait='files'))}.",
    default="reconstruction",
    show_default=True,
    metavar="NAME",
)
@click.option(
    "--goal",
    callback=_goal,
    default="time=0.75",
    show_default=True,
    metavar="WHAT=SHARE",
    help="What to keep: a share of the operations (flops), or of the time here (time).",
)
@click.option(
    "--steps",
    type=click.IntRange(0, 100_000),
    default=2000,
    show_default=True,
    help="So many steps MODEL teaches the smaller one; a thousand take some twenty minutes of a "
    "core.",
)
@click.option("--seed", type=int, default=STANDARD.seed, show_default=True, help="Of all choices.")
def compress(
    model: str,
    images: Path,
    labelled: bool,
    output: Path,
    method: str,
    goal: tuple[str, float],
    steps: int,
    seed: int,
) -> None:
    """Make a smaller and faster copy of MODEL, taught by MODEL itself.

    MODEL is a file that glocal train wrote, or the name of a bundled model; it has to be a network
    of convolutions. Channels inside its blocks are removed, to multiples of 16, so that the file
    is faster by the clock. Its vectors are in a space of their own unless they agree closely: run
    glocal upgrade to change a gallery to it. What it loses is printed at the end: look at it before
    you use the file. It is for models of your own with width to spare; the bundled one finds as
    much in the same time on fewer pixels. After Ctrl-C the same command continues.

    \b
    glocal compress shop.onnx --images photos/ --goal time=0.7 -o small.onnx
    """
    for package in ("onnx", "torch", "torch_pruning"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"glocal compress needs the package {package}, which is not installed; run: "
                f"{INSTALL}"
            )
    from glocal.encoders import find_model
    from glocal.learn.collection import read_labelled, read_unlabelled
    from glocal.learn.compress.delivery import Stopped
    from glocal.learn.compress.delivery import compress as make

    path = find_model(model)
    check_output(output)
    samples = read_labelled(images) if labelled else read_unlabelled(images, 0)
    bar = Stages()
    try:
        with Stopping() as stopping:
            found = make(
                path,
                samples,
                output,
                method=method,
                goal=goal[0],
                keep=goal[1],
                steps=steps,
                seed=seed,
                listen=bar.show,
                stop=lambda: stopping.requested,
            )
    finally:
        bar.close()
    if isinstance(found, Stopped):
        say(
            f"glocal: {found.done} of {steps} steps are done and kept in {found.partial}; with "
            f"--steps {found.done} the same command writes what was taught so far",
            err=True,
        )
        raise click.Abort
    say_skipped(found.skipped)
    _report(found)


def _report(found: Compressed) -> None:
    """Say what was written, and what it lost."""
    taught, untaught = found.taught, found.untaught
    say(
        f"{found.path}: {readable_bytes(found.bytes)} in place of "
        f"{readable_bytes(found.bytes_before)}, {taught.time:.2f} of the time "
        f"({taught.milliseconds:.1f} ms of the processor an image), {found.flops:.2f} of the "
        f"operations; taught in {found.steps} steps with {found.images} images"
    )
    say(
        f"on {found.aside} images kept aside vectors agree with the model's by {taught.median:.3f} "
        f"in the median (the least {taught.least:.3f}; before teaching {untaught.median:.3f} and "
        f"{untaught.least:.3f}), local descriptors by {taught.descriptors:.3f}, and "
        f"{100 * taught.keypoints:.0f} % of keypoints are the same"
    )
    for which, (precision, recall) in found.accuracy.items():
        say(f"{which}: mAP {100 * precision:.1f} %, recall@1 {100 * recall:.1f} % by label")
    if found.same_space:
        say("it is in the model's space: galleries can be searched and filled with either")
    else:
        say("it is in a space of its own: glocal upgrade changes a gallery to it")
