"""The registry of parts: what its rows promise, and how rows of other packages are treated."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from glocal import registry
from glocal.errors import GlocalError, MissingExtraError, PartError
from glocal.parts import ROWS
from glocal.registry import GROUP, Part, Registry

SOURCE = str(Path(registry.__file__).parents[1])
EVERY = ROWS
each_part = pytest.mark.parametrize("row", EVERY, ids=lambda row: f"{row.kind} {row.name}")


def test_the_parts_that_glocal_promises_are_there():
    assert {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"} <= set(
        registry.names("backbone")
    )
    heads = {"average", "max", "rmac", "gem", "dolg", "delf", "cfcd", "superglobal"}
    assert heads <= set(registry.names("head"))
    objectives = {"arcface", "cosface", "softmax", "triplet", "contrastive", "proxy-anchor"}
    assert objectives | {"supcon", "adaptive", "instance"} <= set(registry.names("objective"))
    assert {"aqe", "superglobal", "mutual"} <= set(registry.names("reranker"))
    assert {"own", "xfeat", "sift"} <= set(registry.names("detector"))
    assert {"similarity", "matches", "concepts", "eigen"} <= set(registry.names("explainer"))


@each_part
def test_each_part_names_authors_title_and_year(row: Part):
    assert re.search(r"[A-Z]\w+.*, .+, (19|20)\d\d$", row.source), row.source


@each_part
def test_each_part_is_where_its_row_says(row: Part):
    if row.requires == "glocal[learn]":
        pytest.importorskip("torch", reason="parts to train need torch")
        pytest.importorskip("pytorch_metric_learning", reason="some objectives need it")
    if row.requires == "glocal[sift]":
        pytest.importorskip("cv2", reason="SIFT needs OpenCV")
    made = row.load()
    assert made.__module__ + ":" + made.__qualname__ == row.target
    assert callable(made)


def test_names_can_be_chosen_by_trait():
    local = registry.names("reranker", trait="local-features")
    others = registry.names("reranker", without="local-features")
    assert "maxsim" in local
    assert "aqe" in others
    assert sorted(local + others) == sorted(registry.names("reranker"))


def test_an_unknown_name_is_answered_with_the_nearest_and_all_there_are(monkeypatch):
    with pytest.raises(PartError, match=r"no head named 'gme'; did you mean 'gem'\?.*dolg"):
        registry.part("head", "gme")
    with pytest.raises(PartError, match=r"no objective named 'gem'; choose from: arcface"):
        registry.part("objective", "gem")
    monkeypatch.setattr(registry, "_resolve", lambda _: [row("only")])
    with pytest.raises(PartError, match=r"no merger named 'any'; choose from: none"):
        Registry().part("merger", "any")


def test_a_name_is_given_once():
    own = Registry()
    mine = Part("head", "mine", "Nobody, Nothing, 2020", "nowhere.at.all:Mine")
    own.register(mine)
    own.register(mine)  # the same row again changes nothing
    assert own.part("head", "mine") is mine
    assert own.names("head")[-1] == "mine"
    other = Part("head", "mine", "Nobody, Nothing, 2020", "elsewhere:Mine")
    with pytest.raises(PartError, match=r"already a head named 'mine', nowhere\.at\.all:Mine"):
        own.register(other)
    with pytest.raises(PartError, match="already a head named 'gem'"):
        own.register(Part("head", "gem", "Nobody, Nothing, 2020", "elsewhere:Mine"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "ranker"}, r"kind 'ranker'; use one of backbone, "),
        ({"name": "My Part"}, "'My Part' cannot name a head: use lower-case letters"),
        ({"name": "a:b"}, "'a:b' cannot name a head"),
        ({"target": "module.Class"}, "write it as module:attribute"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(changes: dict[str, str], said: str):
    row = {"kind": "head", "name": "mine", "source": "Me, Mine, 2020", "target": "a:B"}
    with pytest.raises(PartError, match=said) as caught:
        Part(**(row | changes))
    assert isinstance(caught.value, GlocalError)
    assert isinstance(caught.value, ValueError)


def test_a_missing_package_is_named_with_the_command():
    mine = Part("head", "mine", "Me, Mine, 2020", "nowhere_at_all:Mine", requires="mine[torch]")
    with pytest.raises(MissingExtraError, match=r"'mine' needs nowhere_at_all.*\"mine\[torch\]\""):
        mine.load()
    mine = Part("head", "mine", "Me, Mine, 2020", "nowhere_at_all:Mine")
    with pytest.raises(MissingExtraError, match="not installed: install nowhere_at_all"):
        mine.load()


def test_a_target_that_is_not_there_is_refused():
    with pytest.raises(PartError, match=r"cannot be loaded from json:Nothing: .*no attribute"):
        Part("head", "mine", "Me, Mine, 2020", "json:Nothing").load()


def test_listing_imports_no_part():
    code = (
        "import sys, glocal.registry as r\n"
        "assert all(r.parts(kind) is not None for kind in r.KINDS)\n"
        "assert len(r.names('head')) > 5\n"
        "assert not {'torch', 'numpy', 'onnxruntime'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_of_glocals_own_is_found_without_reading_installed_metadata():
    code = (
        "import sys, glocal.registry as r\n"
        "assert r.part('reranker', 'dba').name == 'dba'\n"
        "assert 'importlib.metadata' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, env=os.environ | {"PYTHONPATH": SOURCE}
    )


# Rows of other packages


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """A registry that finds the given entry points: names and what each of them loads."""

    def make(**found: object) -> Registry:
        points = []
        for name, loaded in found.items():
            module = ModuleType(f"fake_{name}")
            module.ROWS = loaded
            monkeypatch.setitem(sys.modules, module.__name__, module)
            points.append(EntryPoint(name, f"{module.__name__}:ROWS", GROUP))
        monkeypatch.setattr(
            importlib.metadata, "entry_points", lambda group: points if group == GROUP else []
        )
        return Registry()

    return make


def row(name: str, kind: str = "head", target: str = "json:dumps") -> Part:
    return Part(kind, name, "Somebody, Something, 2020", target)


def test_rows_of_other_packages_come_after_glocals_own_in_a_fixed_order(installed, caplog):
    own = Registry().names("head")
    there = installed(zebra=[row("z2"), row("z1")], ape=iter([row("a")]))
    there.register(row("mine"))
    assert there.names("head") == (*own, "a", "z2", "z1", "mine")
    assert there.load("head", "z1") is __import__("json").dumps
    assert not caplog.records


def test_an_entry_point_may_name_a_module_with_rows(monkeypatch):
    module = ModuleType("fake_rows")
    module.ROWS = (row("of-a-module"),)
    monkeypatch.setitem(sys.modules, "fake_rows", module)
    point = EntryPoint("any", "fake_rows", GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    assert "of-a-module" in Registry().names("head")


@pytest.mark.parametrize("loaded", [None, 7, ["a row"], "text"])
def test_a_broken_entry_point_is_named_and_left_out(installed, caplog, loaded):
    there = installed(bad=loaded, good=[row("good")])
    assert there.names("head")[-1] == "good"
    (record,) = caplog.records
    assert "entry point 'bad'" in record.getMessage()
    assert "is left out" in record.getMessage()


def test_an_entry_point_that_cannot_be_imported_is_named_and_left_out(monkeypatch, caplog):
    points = [EntryPoint("gone", "nowhere_at_all:ROWS", GROUP)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    assert Registry().names("head") == tuple(p.name for p in EVERY if p.kind == "head")
    assert "'gone'" in caplog.text
    assert "nowhere_at_all" in caplog.text


def test_metadata_that_cannot_be_read_leaves_glocals_own_parts(monkeypatch, caplog):
    def broken(group: str) -> None:
        raise ValueError("no section header in entry_points.txt")

    monkeypatch.setattr(importlib.metadata, "entry_points", broken)
    assert Registry().names("head") == tuple(p.name for p in EVERY if p.kind == "head")
    assert "no section header" in caplog.text


def test_a_name_that_is_taken_stays_glocals_and_the_row_is_named(installed, caplog):
    there = installed(rude=[row("gem"), row("polite")])
    assert there.part("head", "gem").target == "glocal.learn.heads.gem:Gem"
    assert there.names("head")[-1] == "polite"
    assert "already a head named 'gem'" in caplog.text


def test_glocals_own_entry_point_in_installed_metadata_adds_nothing_twice(monkeypatch, caplog):
    points = [EntryPoint("glocal", "glocal.parts:ROWS", GROUP)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    assert list(Registry().parts("head")) == [p for p in EVERY if p.kind == "head"]
    assert not caplog.records


def test_the_entry_point_that_pyproject_declares_is_the_one_the_registry_reads():
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert declared["project"]["entry-points"][GROUP] == {"glocal": registry._OWN}
