"""`glocal compress`."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click

from glocal.cli.options import PartOption
from glocal.cli.output import readable_bytes, say
from glocal.cli.train import _check_output, _require_extra, _Terminal
from glocal.registry import names

_TIMED = 15  # images that each model encodes in turn
_SIDE = 320


def _share(ctx: click.Context, option: click.Parameter, value: str) -> float:
    """The share of the operations in a goal such as ``flops=0.5``."""
    what, _, share = value.partition("=")
    try:
        number = float(share)
    except ValueError:
        number = 0.0
    if what != "flops" or not 0 < number < 1:
        raise click.BadParameter(
            f"{value} is no goal; write flops=0.5 to keep half of the operations", ctx, option
        )
    return number


@click.command()
@click.argument("model", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="SMALL.onnx",
    help="The model file to write; one with half-precision weights is written beside it.",
)
@click.option(
    "--method",
    cls=PartOption,
    kind="compressor",
    describe=lambda: (
        f"How channels are chosen: {', '.join(names('compressor', trait='channels'))}."
    ),
    default="pagcp",
    show_default=True,
    metavar="NAME",
)
@click.option(
    "--goal",
    callback=_share,
    default="flops=0.5",
    show_default=True,
    metavar="flops=SHARE",
    help="Share of the backbone's operations to keep.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long the smaller model is taught by the model itself.",
)
@click.option(
    "--licence",
    default="LicenseRef-unstated",
    show_default=True,
    help="SPDX identifier of the model's licence, for its card.",
)
def compress(
    model: Path,
    photos: Path,
    output: Path,
    method: str,
    goal: float,
    minutes: float,
    licence: str,
) -> None:
    """Make a model that you trained smaller (an experiment).

    MODEL is a checkpoint of glocal train, such as mine.run/best.pt; finished ONNX files cannot be
    taught any more and are not taken. PHOTOS are what the smaller model learns on, without labels;
    labels are used to measure, if they are there. Its vectors are in a space of their own: run
    glocal upgrade to change a gallery to it. Read the printed time: fewer operations are not yet
    less time.

    \b
    glocal compress mine.run/best.pt Pictures/ -o small.onnx --goal flops=0.5 --minutes 30
    """
    _require_extra()
    _check_output(output)
    from glocal.learn.compress.slimming import slim
    from glocal.learn.delivery import deliver

    listener = _Terminal()
    with tempfile.TemporaryDirectory(prefix="glocal-compress-") as work:
        try:
            made = slim(
                model, photos, method=method, keep=goal, minutes=minutes, work=Path(work),
                listener=listener,
            )  # fmt: skip
        finally:
            listener.close()
        notes = (f"{photos.name}: taught by {model.name}, without labels",)
        small = deliver(made.student, made.settings, output, licence=licence, training_data=notes)
        before = Path(work) / "before.onnx"
        large = deliver(made.teacher, made.settings, before, licence=licence, training_data=notes)
        times = _processor_times([before, output])
    say(f"operations of the backbone: {made.kept:.1%} are kept")
    say(f"cosine to the model's own vectors, on photos held out: {made.agreement:.3f}")
    for name, file, spent in zip(("before", "after"), (large[0], small[0]), times, strict=True):
        figures = ", ".join(f"{kind} {100 * value:.1f} %" for kind, value in file.figures.items())
        say(
            f"{name}: {readable_bytes(file.bytes)}, {1000 * spent:.1f} ms of the processor an "
            f"image, {figures or 'not evaluated'}"
        )
    say(f"{output}: written, and {small[1].path.name} in half precision")


def _processor_times(paths: list[Path]) -> list[float]:
    """Median seconds of the processor to encode an image, the models taking turns."""
    import numpy as np

    from glocal.encoders import OnnxEncoder

    encoders = [OnnxEncoder(path) for path in paths]
    image = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3)).astype(np.uint8)
    spent: list[list[float]] = [[] for _ in paths]
    for _ in range(_TIMED):
        for encoder, found in zip(encoders, spent, strict=True):
            started = time.process_time()
            encoder.encode([image])
            found.append(time.process_time() - started)
    return [statistics.median(found) for found in spent]
