"""Every command and option that the README and the documentation show is one that glocal has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from glocal.cli.app import glocal

REPOSITORY = Path(__file__).parent.parent
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *(REPOSITORY / "docs").rglob("*.md"),
]
BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^ {4}(glocal .*)$", re.MULTILINE)
INLINE = re.compile(r"`(glocal [a-z][^`]*)`")
OPTION = re.compile(r"--?[a-zA-Z][a-z0-9-]*")


def shown() -> Iterator[tuple[str, str]]:
    """Each command that a page shows, with the page's name."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
        for line in [*lines, *INDENTED.findall(text), *INLINE.findall(text)]:
            command = line.strip().removeprefix("$ ")
            if command.startswith("glocal ") and "=" not in command.split()[0]:
                yield page.relative_to(REPOSITORY).as_posix(), command


def faults(command: str) -> list[str]:
    """What is wrong with a command line: unknown sub-commands and options."""
    words = shlex.split(command, comments=True)[1:]
    context = click.Context(glocal)
    found: click.Command = glocal
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name.isupper():  # `glocal COMMAND --help` stands for any of them
            return []
        inner = found.get_command(context, name)
        if inner is None:
            return [f"there is no command {name}"]
        found, context = inner, click.Context(inner, context)
    known = {"--help", "-h"}
    for parameter in found.params:
        known.update((*parameter.opts, *parameter.secondary_opts))
    options = [word.split("=")[0] for word in words if OPTION.fullmatch(word.split("=")[0])]
    return [f"there is no option {option}" for option in options if option not in known]


def test_the_commands_are_found() -> None:
    assert len(list(shown())) > 40
    assert {"docs/photos.md", "docs/researchers.md", "README.md"} <= {page for page, _ in shown()}


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert faults("glocal serach query.jpg") == ["there is no command serach"]
    assert faults("glocal search query.jpg --nearest 5 # no") == ["there is no option --nearest"]
    assert faults("glocal evaluate labelled DATA --deep") == ["there is no option --deep"]
    assert faults("glocal search a.jpg --where 'width >= 3' -n 4 --limit=5 --no-verify") == []


@pytest.mark.parametrize(("page", "command"), sorted(set(shown())))
def test_every_command_is_there(page: str, command: str) -> None:
    assert faults(command) == []
