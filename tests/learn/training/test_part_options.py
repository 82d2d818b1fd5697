from __future__ import annotations

import json
from typing import Literal, get_args, get_origin

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="arcface needs pytorch-metric-learning")

from tiny_training import (  # noqa: E402
    Quiet,
    make_labelled,
    register_tiny,
    tiny_settings,
)

from glocal.errors import LearnError  # noqa: E402
from glocal.learn import checkpoint  # noqa: E402
from glocal.learn.delivery import make_card  # noqa: E402
from glocal.learn.model import build_model, build_objective  # noqa: E402
from glocal.learn.part_options import (  # noqa: E402
    option_types,
    options_of,
    read_options,
    split_options,
)
from glocal.learn.training import _build, train  # noqa: E402
from glocal.registry import names  # noqa: E402

register_tiny()


def read(*given, head="gem", objective="arcface", recipe="labels-and-views"):
    return read_options(
        split_options(given), head=head, objective=objective, recipe="labels-and-views"
    )


def test_values_are_read_as_their_parts_want_them():
    assert read("head.power=4", "objective.margin = 0.3", "head.learn_power=no") == {
        "head.power": 4.0,
        "head.learn_power": False,
        "objective.margin": 0.3,
    }
    fused = read("head.dilations=2, 4", "head.inner=32", head="dolg")
    assert fused == {"head.dilations": [2, 4], "head.inner": 32}
    assert read("head.window=3", head="superglobal") == {"head.window": 3}
    assert read("objective.margin=0") == {"objective.margin": 0.0}
    # What was read once stays as it is, as do values given from Python.
    for values in (fused, {"head.dilations": (2, 4), "head.inner": 32}):
        assert (
            read_options(values, head="dolg", objective="arcface", recipe="labels-and-views")
            == fused
        )
    assert options_of(fused, "head") == {"dilations": [2, 4], "inner": 32}
    assert options_of(fused, "objective") == {}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["power=4"], r"--set power=4: give head\.NAME=VALUE"),
        (["head.power"], r"--set head\.power: give"),
        (["head.power="], r"--set head\.power=: give"),
        (["backbone.width=4"], r"give head\.NAME=VALUE, objective"),
        (["head.power=4", "head.power=5"], "given twice: 4 and 5"),
        (["head.powr=4"], r"gem has no option 'powr'; did you mean head\.power\? there are: head"),
        (
            ["objective.power=4"],
            r"arcface has no option 'power'; there are: objective\.margin",
        ),
        (["head.power=high"], r"head\.power=high: give a number"),
        (["head.power=nan"], "has to be more than 0"),
        (["head.power=0"], "has to be more than 0"),
        (["objective.margin=-1"], "has to be at least 0"),
        (["objective.scale=inf"], "has to be more than 0"),
        (["head.learn_power=4"], "give true or false"),
        (["head.dim=4"], "not needed: --dim says it"),
    ],
)
def test_what_cannot_be_set_is_named(given, text):
    with pytest.raises(LearnError, match=text):
        read(*given)


def test_wrong_types_of_other_parts_are_named():
    with pytest.raises(LearnError, match=r"window=2\.5: give a whole number"):
        read("head.window=2.5", head="superglobal")
    with pytest.raises(LearnError, match=r"dilations=2,x: give a whole number"):
        read("head.dilations=2,x", head="dolg")
    with pytest.raises(LearnError, match="give whole numbers"):
        read_options(
            {"head.dilations": []}, head="dolg", objective="arcface", recipe="labels-and-views"
        )
    with pytest.raises(LearnError, match="--temperature and --entropy says it"):
        read("objective.temperature=1", objective="instance")
    with pytest.raises(LearnError, match="has to be less than 1"):
        read("objective.median_probability=1", objective="adaptive")
    with pytest.raises(LearnError, match="average has no option 'power'; there are: none"):
        read("head.power=3", head="average")
    with pytest.raises(LearnError, match="only head, objective and recipe"):
        read_options({"cells.dim": 3}, head="gem", objective="arcface", recipe="labels-and-views")
    with pytest.raises(LearnError, match=r"window=2\.5: give a whole number"):
        read_options(
            {"head.window": 2.5}, head="superglobal", objective="arcface", recipe="labels-and-views"
        )
    with pytest.raises(LearnError, match="power=True: give a number"):
        read_options(
            {"head.power": True}, head="gem", objective="arcface", recipe="labels-and-views"
        )


@pytest.mark.parametrize("name", names("head"))
def test_every_head_is_built_with_each_of_its_options(name):
    samples = {bool: "true", int: "3", float: "0.5"}
    divided = {"width": "8", "heads": "2"} if name == "conditional-cross-attention" else {}
    for option, wanted in option_types("head", name).items():
        text = divided.get(option, samples.get(wanted, "3,3"))
        options = options_of(read(f"head.{option}={text}", head=name), "head")
        assert build_model(backbone="tiny", head=name, dim=4, head_options=options)


@pytest.mark.parametrize("name", [name for name in names("objective") if name != "instance"])
def test_every_objective_is_built_with_each_of_its_options(name):
    for option, wanted in option_types("objective", name).items():
        choices = get_args(wanted) if get_origin(wanted) is Literal else ()
        text = choices[0] if choices else "3" if wanted is int else "0.5"
        options = options_of(read(f"objective.{option}={text}", objective=name), "objective")
        assert build_objective(name, dim=4, classes=3, **options)


def test_options_reach_head_and_objective():
    chosen = {"head.power": "2.5", "head.learn_power": "false", "objective.scale": "17"}
    settings = tiny_settings(options=chosen).with_options_read()
    learning = _build(settings, 3, False, torch.device("cpu"), None)
    assert float(learning.model.head.power) == 2.5
    assert not learning.model.head.power.requires_grad
    assert learning.recipe.objective.loss.scale == 17


def test_the_card_and_the_checkpoint_keep_them_and_a_resume_notices(tmp_path):
    data = make_labelled(tmp_path / "data", labels=3)
    settings = tiny_settings(options={"head.power": "4", "objective.margin": "0.3"}, epochs=1)
    run = tmp_path / "run"
    trained = train(data, settings, run=run, listener=Quiet())
    kept = {"head.power": 4.0, "objective.margin": 0.3}
    assert checkpoint.load(run / "last.pt")["settings"]["options"] == kept
    read_settings = settings.with_options_read()
    card = make_card(
        trained.model, read_settings, name="a", space="a-v1", licence="MIT", training_data=[]
    )
    assert json.loads(json.dumps(card))["trained"]["options"] == kept
    train(data, settings, run=run, listener=Quiet())  # the same, in other words
    other = tiny_settings(options={"head.power": 4, "head.learn_power": False}, epochs=1)
    with pytest.raises(LearnError) as refused:
        train(data, other, run=run, listener=Quiet())
    text = str(refused.value)
    assert "head.learn_power was not set, is False; objective.margin was 0.3, is not set." in text
    assert "head.power" not in text


def test_an_older_checkpoint_is_gone_on_with():
    settings = tiny_settings()
    older = settings.as_dict()
    del older["options"], older["cutmix"]
    assert settings.misfits(older) == []
    assert tiny_settings(cutmix=0.5).misfits(older) == ["cutmix was 0.0, is 0.5"]
