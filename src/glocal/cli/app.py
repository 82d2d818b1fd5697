"""The command `glocal`: its commands, imported when they are used, and how errors are shown."""

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
    "index": ("index", "Add the photos in folders to the gallery, or bring it up to date."),
    "search": ("search", "Find the photos that show the same thing as a query photo."),
    "explain": ("explain", "Draw why photos match."),
    "serve": ("serve", "Serve the gallery as a web page and an HTTP API."),
    "duplicates": ("duplicates", "Group copies of the same photo; nothing is removed."),
    "info": ("info", "Show what a gallery contains."),
    "check": ("check", "Check a gallery for damage, and repair it with --repair."),
    "remove": ("remove", "Remove files from the gallery; they stay on disk."),
    "models": ("models", "List the available models."),
    "evaluate": ("evaluate", "Evaluate a model by published protocols."),
    "train": ("train", "Train a model on your own photos."),
    "demo": ("demo", "Try glocal on sample photos: find each by altered copies."),
    "completion": ("completion", "Print the completion script for a shell."),
}

# Commands that multiply large matrices, for which NumPy may use all threads.
_LARGE_PRODUCTS = {"evaluate", "train"}


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
        module, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"glocal.cli.{module}"), cmd_name)
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
    logging.basicConfig(level="WARNING", format="glocal: %(message)s", stream=sys.stderr)
    logging.getLogger("glocal").setLevel(level)


def main() -> NoReturn:
    """Run the command line and exit with 0 (done), 1 (failed) or 2 (wrong use)."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may have characters that a terminal cannot show.
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
        _say("stopped; what is finished is kept: run the same command again to continue")
        sys.exit(1)
    except GlocalError as error:
        _say(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The program that read our output, such as `head`, has ended; nobody reads the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        sys.exit(1)


def _say(text: str) -> None:
    print(f"glocal: {text}", file=sys.stderr)
