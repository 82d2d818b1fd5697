"""`glocal completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a SHELL.

    For bash, add this line to ~/.bashrc: eval "$(glocal completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}; use bash, zsh or fish")
    click.echo(kind(ctx.find_root().command, {}, "glocal", "_GLOCAL_COMPLETE").source())
