"""Words that glocal no longer uses, in what people read: command line, API description and page.

They are the left column of the style guide's table of words. Code and docstrings are for reviewers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import glocal.web
from glocal.cli.app import glocal as program

ASSETS = Path(glocal.web.__file__).parent / "assets"
GONE = {
    r"pictures?": "image, or photo",
    r"local parts?|strengths": "local features: keypoints, descriptors, scores",
    r"second looks?|seconds? looks?": "geometric verification",
    r"choose each other|chosen by each other": "mutual nearest neighbours",
    r"judges?|judged|judging|trial sheets?": "evaluate, report",
    r"had a say|have a say": "tuned on, chosen on",
    r"sought|what is not|looked for": "positive and negative examples: like, unlike",
    r"deep search|--deep|deep": "small objects",
    r"questions?|asked": "query, request",
    r"forget|forgets|forgot|forgotten": "remove",
    r"tired|modest": "early stopping, lower priority",
    r"house|ground floor": "layers, packages",
    r"that is no|is none of|are none of": "what is wrong, and what to do",
    r"alike": "similar",
}
ALLOWED = [
    r"~/Pictures|\bPictures/",  # a folder that desktops have
    r"deep[- ]learning",
]
PATTERN = re.compile(rf"(?<![\w-])(?:{'|'.join(GONE)})(?![\w])", re.IGNORECASE)


def found(text: str) -> list[str]:
    """Every word that is gone, with what stands around it."""
    for allowed in ALLOWED:
        text = re.sub(allowed, "", text)
    text = " ".join(text.split())
    return [text[max(0, m.start() - 40) : m.end() + 30] for m in PATTERN.finditer(text)]


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command, parent: click.Context | None) -> Any:
        context = click.Context(command, info_name=name, parent=parent)
        yield context.command_path, command
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                below = command.get_command(context, each)
                if below is not None:
                    yield from walk(each, below, context)

    yield from walk("glocal", program, None)


@pytest.mark.parametrize("command", [pytest.param(each, id=path) for path, each in commands()])
def test_the_help_of_a_command_is_in_plain_words(command: click.Command) -> None:
    assert found(command.get_help(click.Context(command))) == []


def test_the_description_of_the_api_is_in_plain_words() -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from glocal.web.openapi import describe
    from glocal.web.routes import duplicates, explanation, images, runs, search, serving, uploads

    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI(title="glocal", version="1")
    for module in (search, explanation, uploads, images, duplicates, runs, serving):
        app.include_router(module.router)
    described = describe(app, token=False)
    assert "/v1/search" in described["paths"]
    assert found(json.dumps(described).replace("_", " ")) == []
    assert "same object or place" not in re.findall(r'"([^"]*)"', json.dumps(described))


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""", re.DOTALL
)


def literals(script: str) -> list[str]:
    """The string literals of a script, without its comments."""
    return [each for each in TOKEN.findall(script) if not each.startswith("/")]


def test_literals_leave_comments_out() -> None:
    script = 'a("x // y", `b ${1} "c"`); // picture "p"\n/* "q" */ d(\'it\\\'s\')'
    assert literals(script) == ['"x // y"', '`b ${1} "c"`', r"'it\'s'"]


@pytest.mark.parametrize(
    "file", [*sorted(ASSETS.glob("*.js")), ASSETS / "index.html"], ids=lambda path: path.name
)
def test_the_page_is_in_plain_words(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        assert literals(text)
        text = "\n".join(literals(text))
    assert found(text) == []


def test_the_words_are_found() -> None:
    assert found("Pictures of a question, judged; ~/Pictures") != []
    assert len(found("a picture, that is no image, asked, the second look")) == 4
    assert found("asks for an image in ~/Pictures, a questionnaire, misjudged") == []
