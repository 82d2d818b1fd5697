from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import glocal
from glocal.errors import MethodError
from glocal.methods import catalogue, method_named, status_of
from glocal.methods.catalogue import TIERS
from glocal.methods.describe import details, mechanism, page
from glocal.registry import KINDS, part

SOURCE = Path(glocal.__file__).parents[1]
TRIALS = SOURCE / "glocal" / "trials"


def test_the_catalogue_has_all_methods_once() -> None:
    methods = catalogue()
    numbers = [method.n for method in methods]
    assert numbers == sorted(set(numbers))
    assert len({method.name for method in methods}) == len(methods) >= 390
    assert {method.tier for method in methods} == set(TIERS)
    unended = [method.name for method in methods if not method.sentence.endswith(".")]
    assert not unended, "the sentence of a row ends with a full stop"


def test_a_method_is_found_by_name_and_by_number() -> None:
    assert method_named("sgconv") is method_named("101")
    with pytest.raises(MethodError, match="did you mean sgconv"):
        method_named("sgcon")


@pytest.mark.parametrize("method", [m for m in catalogue() if m.trial], ids=lambda m: m.name)
def test_a_row_with_a_trial_has_the_files_and_parts_it_names(method) -> None:
    assert TRIALS.joinpath(*method.trial.split(".")).with_suffix(".py").is_file()
    assert 0 < method.seconds <= 600
    if method.part:
        kind, _, name = method.part.partition(":")
        assert kind in KINDS
        assert part(kind, name).target  # type: ignore[arg-type]


def test_every_trial_belongs_to_a_row() -> None:
    named = {method.trial for method in catalogue()}
    files = {
        f"{path.parent.name}.{path.stem}"
        for path in TRIALS.glob("*/*.py")
        if path.stem != "__init__"
    }
    assert files == named - {""}


def test_how_a_part_works_is_read_from_its_docstring() -> None:
    text = mechanism(method_named("sgconv"))
    assert "Deviations:" in text
    assert "2022" in text
    assert mechanism(method_named("nitrofusion")) == ""


def test_everything_of_a_method_includes_why_its_trial_fails() -> None:
    text = "\n".join(details(status_of(method_named("snnk"))))
    assert "Not here: fewer parameters need fewer features than inputs" in text
    assert "Random features" in text


def test_the_page_has_every_method_and_both_numbers() -> None:
    statuses = [status_of(method) for method in catalogue()]
    text = page(statuses)
    stages = {method.stage for method in catalogue()}
    assert text.count("\n| ") == len(catalogue()) + 2 * len(stages)  # each has a head of two lines
    assert "measured | baseline" in text


def test_listing_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, glocal.methods as m;"
        "[m.status_of(method).state for method in m.catalogue()];"
        "assert not {'torch', 'numpy', 'onnxruntime'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SOURCE)}, timeout=60
    )
