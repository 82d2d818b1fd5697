from __future__ import annotations

import re
import subprocess
import sys

import pytest

from glocal.errors import LearnError, MissingExtraError
from glocal.learn import registry
from glocal.learn.registry import Part, names, part

KINDS = ("backbone", "head", "objective")


def test_the_issue_s_parts_are_there():
    assert {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"} <= set(
        names("backbone")
    )
    heads = {"average", "max", "rmac", "gem", "dolg", "delf", "cfcd", "superglobal"}
    assert heads <= set(names("head"))
    objectives = {"arcface", "cosface", "softmax", "triplet", "contrastive", "proxy-anchor"}
    assert objectives | {"supcon", "adaptive", "instance"} <= set(names("objective"))


@pytest.mark.parametrize("known", [part(kind, name) for kind in KINDS for name in names(kind)])
def test_each_part_names_authors_title_and_year(known):
    assert re.search(r"[A-Z]\w+.*, .+, (19|20)\d\d$", known.source), known.source


@pytest.mark.parametrize("known", [part(kind, name) for kind in KINDS for name in names(kind)])
def test_each_part_is_where_the_registry_says(known):
    pytest.importorskip("torch", reason="parts need torch")
    pytest.importorskip("pytorch_metric_learning", reason="some objectives need it")
    made = known.load()
    assert made.__module__ + ":" + made.__name__ == known.where


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(LearnError, match=r"no head named 'gme'; did you mean 'gem'\?.*dolg"):
        part("head", "gme")
    with pytest.raises(LearnError, match=r"no objective named 'gem'; there are: arcface"):
        part("objective", "gem")


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(registry, "_PARTS", dict(registry._PARTS))
    mine = Part("head", "mine", "Nobody, Nothing, 2020", "nowhere.at.all:Mine")
    registry.register(mine)
    assert part("head", "mine") is mine
    with pytest.raises(LearnError, match="a head named 'mine' already"):
        registry.register(mine)


def test_a_missing_package_is_named_with_the_command():
    mine = Part("head", "mine", "Nobody, Nothing, 2020", "nowhere_at_all:Mine")
    with pytest.raises(MissingExtraError, match=r"'mine' needs nowhere_at_all: pip install"):
        mine.load()


def test_listing_parts_does_not_import_torch():
    code = (
        "import sys, glocal, glocal.learn.registry as r\n"
        "assert len(r.names('head')) > 5\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
