"""The command `glocal`: its commands, imported when they are used, and how errors are shown."""

from __future__ import annotations

import gc
import io
import logging
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

import click

from glocal import __version__
from glocal.cli.interrupts import interruptible
from glocal.cli.streams import keep_writing, open_closed_streams, output_is_read
from glocal.errors import GlocalError
from glocal.visible_text import visible

# Name, module and one line of help: enough for `glocal --help` without importing any of them.
_COMMANDS = {
    "index": ("index", "Add the photos in folders to the gallery, or bring it up to date."),
    "search": ("search", "Find the photos that show the same thing as a query photo."),
    "locate": ("locate", "Say where a photo was probably taken."),
    "world": ("world", "Train a world model on your photos, for glocal locate --world."),
    "sketches": ("sketches", "Learn from your photos to search by drawings."),
    "explain": ("explain", "Draw why photos match."),
    "serve": ("serve", "Serve the gallery as a web page and an HTTP API."),
    "duplicates": ("duplicates", "Group copies of the same photo; nothing is removed."),
    "info": ("info", "Show what a gallery contains."),
    "upgrade": ("upgrade", "Change a gallery to another model while it stays in use."),
    "move": ("move", "Move the vectors of a gallery into a cluster, and back."),
    "export": ("export", "Write the vectors of a gallery to a Parquet file."),
    "import": ("importing", "Add photos with the vectors that a Parquet file has of them."),
    "check": ("check", "Check a gallery for damage, and repair it with --repair."),
    "text": ("text", "Let words find what they mean, by an image-text model such as CLIP."),
    "remove": ("remove", "Remove files from the gallery; they stay on disk."),
    "models": ("models", "List the available models."),
    "evaluate": ("evaluate", "Evaluate a model by published protocols."),
    "train": ("train", "Train a model on your own photos."),
    "stitch": ("stitch", "Put a small and a large model into one file, to choose between."),
    "compress": ("compress", "Make a smaller and faster copy of a model."),
    "quantize": ("quantize", "Make a model's twin in int8, which takes half the time."),
    "methods": ("methods", "List published methods, and measure what is claimed of each."),
    "demo": ("demo", "Try glocal on sample photos: find each by altered copies."),
    "completion": ("completion", "Print the completion script for a shell."),
}

# Commands that multiply large matrices, for which NumPy may use all threads.
_LARGE_PRODUCTS = {"compress", "evaluate", "methods", "quantize", "stitch", "train", "world"}


class _Lazy(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in _LARGE_PRODUCTS:
            # NumPy's threads wait for work by spinning: over many small products they take twice
            # the processor time and save none. NumPy reads this when it is first imported.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from glocal.images.quiet import own_this_process  # needs NumPy, as commands do

        own_this_process()
        module, _ = _COMMANDS[cmd_name]
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"glocal.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="glocal COMMAND --help shows the options of a command. Each user has one gallery; "
    "--gallery or the environment variable GLOCAL_GALLERY names another.",
)
@click.version_option(__version__, prog_name="glocal")
@click.option("-v", "--verbose", is_flag=True, help="Log each step to standard error.")
def glocal(verbose: bool) -> None:
    """Find the same thing in your photos: the same building, product, painting or place.

    \b
    glocal index ~/Pictures
    glocal search query.jpg
    """
    level = "INFO" if verbose else os.environ.get("GLOCAL_LOG", "WARNING").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise click.UsageError(
            f"GLOCAL_LOG is {level.lower()!r}; set it to debug, info, warning or error"
        )
    handler = logging.StreamHandler()
    handler.setFormatter(_Visible("glocal: %(message)s"))
    logging.basicConfig(level="WARNING", handlers=[handler])
    logging.getLogger("glocal").setLevel(level)


def main() -> NoReturn:
    """Run the command line and exit with 0 (done), 1 (failed) or 2 (wrong use)."""
    gc.set_threshold(20_000)  # importing glocal makes many objects that stay; none need looking at
    open_closed_streams()
    keep_writing()
    try:
        with interruptible():
            status = glocal.main(prog_name="glocal", standalone_mode=False) or 0
            sys.stdout.flush()
        sys.exit(status if output_is_read() else 1)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        print("\n".join(map(visible, shown.getvalue().split("\n"))), end="", file=sys.stderr)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped; what is finished is kept: run the same command again to continue")
        sys.exit(1)
    except GlocalError as error:
        _say(str(error))
        sys.exit(1)
    except OSError as error:
        _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        sys.exit(1)


class _Visible(logging.Formatter):
    """Log lines in which no character of a file name acts on the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = visible(record.message)
        return super().formatMessage(record)


def _say(text: str) -> None:
    print(f"glocal: {visible(text)}", file=sys.stderr)
