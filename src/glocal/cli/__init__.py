"""glocal at a terminal."""

from glocal.cli.app import main

__all__ = ["main"]
