"""`glocal text`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import Bar, counted, print_json, say
from glocal.errors import install_command
from glocal.gallery import Gallery
from glocal.gallery.results import TextModelInfo
from glocal.gallery.text_model import ANCHORS, LEAST_ANCHORS

HOW = f"""\
Words are found as they are written: in names of files and folders, in captions and, after
glocal index --ocr, in the photos. None that could find what words mean comes with glocal. To add
that, bring an image-text model, such as CLIP, SigLIP or MobileCLIP, exported to ONNX:

  {install_command("glocal[text]")}
  glocal text --model FOLDER      (vision_model.onnx, text_model.onnx, tokenizer.json and
                                   preprocessor_config.json)
  glocal text --model OWNER/NAME  (downloaded from the Hugging Face hub, with glocal[hub])

Mind the licence of its weights. No photo is indexed again."""


@click.command()
@gallery_option
@click.option(
    "--model",
    metavar="MODEL",
    help="Add this image-text model: a folder with both sides as ONNX files and their tokeniser, "
    "one of these files, or a name on the Hugging Face hub.",
)
@click.option(
    "--anchors",
    type=click.IntRange(min=LEAST_ANCHORS),
    default=ANCHORS,
    show_default=True,
    metavar="N",
    help="Number of photos that its image side encodes, to learn how both models see them.",
)
@click.option("--remove", is_flag=True, help="Remove the image-text model from the gallery.")
@json_option
@wait_option
def text(
    gallery: Path | None, model: str | None, anchors: int, remove: bool, as_json: bool, wait: float
) -> None:
    """Let words find what they mean, by an image-text model such as CLIP.

    The model is fitted to the vectors that the gallery has: no photo is indexed again. Then glocal
    search --text finds photos by what words mean too, and glocal search PHOTO --change by what is
    to be different. Without an option, the command says what the gallery has.
    """
    if remove and model is not None:
        raise click.UsageError("--remove removes the model that is there; leave --model out")
    with Gallery(gallery, create=False, timeout=wait) as opened:
        if remove:
            _say_removed(opened.remove_text_model(), as_json)
            return
        if model is None:
            known = opened.text_model()
        else:  # what is there may be damaged, and is replaced
            bar = Bar(show=not as_json)
            try:
                known = opened.add_text_model(model, anchors=anchors, listen=bar)
            finally:
                bar.close()
        fits = known is not None and known.gallery_space == opened.space
    if as_json:
        print_json({"text_model": known, "fits": fits})
    elif known is None:
        say(HOW)
    else:
        _show(known, fits=fits)


def _say_removed(removed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"removed": removed})
    else:
        say("the image-text model is removed" if removed else "there was no image-text model")


def _show(known: TextModelInfo, *, fits: bool) -> None:
    say(f"model     {known.name}")
    say(f"licence   {known.licence or 'not stated; look it up before you use the model'}")
    say(
        f"fitted    to {counted(known.anchors, 'photo')}; of those kept aside it finds "
        f"{known.found:.0%} first"
    )
    say(f"changes   {'a trained combiner' if known.combines else 'the sum of both vectors'}")
    if not fits:
        say("the gallery has changed to another model since; fit it again: glocal text --model ...")
