"""The command `glocal`: its sub-commands, each imported when it is used, and how errors end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from glocal import __version__
from glocal.errors import GlocalError

# Name, module and one line of help: enough for `glocal --help` without importing any of them.
_COMMANDS = {
    "index": ("index", "Add the images below folders; add, re-read and forget what changed."),
    "search": ("search", "Find the same thing as in an image."),
    "explain": ("explain", "Draw why images match."),
    "serve": ("serve", "Serve the gallery as a page and an API."),
    "duplicates": ("duplicating", "Group copies of the same image; nothing is removed."),
    "info": ("info", "Say what a gallery holds."),
    "check": ("check", "Say whether a gallery is sound; --repair mends it."),
    "remove": ("remove", "Forget files and folders; nothing on disk is touched."),
    "models": ("models", "List the models."),
    "evaluate": ("evaluate", "Judge a model by the field's own protocols."),
    "train": ("train", "Train a model on images of one's own."),
    "demo": ("demo", "Index real photographs and find them by altered copies."),
    "completion": ("completion", "Print the completion script of a shell."),
}

_LARGE_SUMS = {"evaluate", "train"}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in _LARGE_SUMS:
            # NumPy's threads wait for work by spinning: over many small sums they take twice the
            # processor's time and gain none. It reads this when it is first imported.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"glocal.cli.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="glocal COMMAND --help says more about each. The gallery is the user's own unless "
    "--gallery or GLOCAL_GALLERY names another.",
)
@click.version_option(__version__, prog_name="glocal")
@click.option("-v", "--verbose", is_flag=True, help="Say what is done and why, on standard error.")
def glocal(verbose: bool) -> None:
    """Find the same thing in your images: the same building, product, painting, place.

    \b
    glocal index ~/Pictures
    glocal search query.jpg
    """
    level = "INFO" if verbose else os.environ.get("GLOCAL_LOG", "WARNING").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise click.UsageError(f"GLOCAL_LOG is {level!r}; it can be debug, info, warning or error")
    logging.basicConfig(level="WARNING", format="glocal: %(message)s", stream=sys.stderr)
    logging.getLogger("glocal").setLevel(level)


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what a terminal cannot show.
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(glocal.main(prog_name="glocal", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped; everything finished so far is kept, and the next run goes on from there")
        sys.exit(1)
    except GlocalError as error:
        _say(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has gone, `head` for one; the rest is of no use to anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        sys.exit(1)


def _say(text: str) -> None:
    print(f"glocal: {text}", file=sys.stderr)
