"""The command line."""

from glocal.cli.app import main

__all__ = ["main"]
