"""Paths that name nothing: empty ones, which are not the folder one is in, and unknown URLs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from glocal.cli.app import glocal
from glocal.cli.options import FilePath, Photo


def parameters(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of a command and of the commands below it, with the command's name."""
    for parameter in command.params:
        yield name.strip(), parameter
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            if found := command.get_command(context, each):
                yield from parameters(found, f"{name} {each}")


PATHS = [
    pytest.param(parameter.type, id=f"{command} {parameter.name}")
    for command, parameter in parameters(glocal)
    if isinstance(parameter.type, click.Path | Photo)
]


def test_there_are_such_parameters() -> None:
    assert len(PATHS) > 40


@pytest.mark.parametrize("taken", PATHS)
def test_an_empty_path_is_refused(taken: FilePath | Photo) -> None:
    with pytest.raises(click.BadParameter, match="empty path names nothing"):
        taken.convert("", None, None)


@pytest.mark.parametrize("command", ["index", "remove", "search", "locate"])
def test_it_is_said_how_to_name_the_folder_one_is_in(command: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(glocal, [command, "--gallery", str(tmp_path / "gallery"), ""])
    assert done.exit_code == 2
    assert "or . for the folder you are in" in done.output
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize("url", ["ftp://host/photos", "HTTPS://host/a.jpg", "gopher://host/"])
def test_other_urls_are_no_missing_files(url: str, tmp_path: Path) -> None:
    for command in ("index", "search", "remove"):
        done = CliRunner().invoke(glocal, [command, "--gallery", str(tmp_path / "gallery"), url])
        assert done.exit_code == 2
        assert f"{url.partition(':')[0]}:// is not read; URLs begin with s3, " in done.output
