"""Options that name a part: help and completion have every part of the registry."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from glocal.cli.app import glocal
from glocal.registry import names

OPTIONS = [
    ("train", "--backbone", "backbone"),
    ("train", "--head", "head"),
    ("train", "--objective", "objective"),
    ("index", "--detector", "detector"),
    ("search", "--rerank", "reranker"),
    ("explain", "--kind", "explainer"),
]
each_option = pytest.mark.parametrize(("command", "option", "kind"), OPTIONS)


@each_option
def test_help_names_every_part(command, option, kind):
    shown = CliRunner().invoke(glocal, [command, "--help"], terminal_width=2000).output
    (line,) = [line for line in shown.splitlines() if line.strip().startswith(option)]
    for name in names(kind):
        assert name in line


@each_option
def test_completion_offers_every_part(command, option, kind):
    complete = ShellComplete(glocal, {}, "glocal", "_GLOCAL_COMPLETE")
    offered = [item.value for item in complete.get_completions([command, option], "")]
    assert set(names(kind)) <= set(offered)
    first = names(kind)[0]
    assert first in [item.value for item in complete.get_completions([command, option], first[:2])]


def test_completion_of_a_reranking_offers_none_too():
    complete = ShellComplete(glocal, {}, "glocal", "_GLOCAL_COMPLETE")
    offered = [item.value for item in complete.get_completions(["search", "--rerank"], "no")]
    assert offered == ["none"]


@each_option
def test_an_unknown_name_is_an_error_of_usage(command, option, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = names(kind)[0]
    result = CliRunner().invoke(glocal, [command, option, f"{known}x"])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert f"there is no {kind} named '{known}x'; did you mean '{known}'?" in said
