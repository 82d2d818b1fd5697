from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tab import SETTLED, Tab

VIEWS = ("", "?view=folders", "?view=map", "?view=duplicates", "?view=index")
SEEN = {"": "li.tile img.there", "?view=folders": ".cover img", "?view=map": ".pin",
        "?view=duplicates": ".group", "?view=index": ".allowed li"}  # fmt: skip


def _faults(tab: Tab, axe: str, only: str) -> list[Any]:
    """What axe finds."""
    tab.until(SETTLED)
    tab.page.evaluate(f"if (!window.axe) {{ {axe} }}; undefined")
    found = tab.page.evaluate(
        f"axe.run(document, {{ runOnly: {only}, resultTypes: ['violations'] }})"
    )
    return [
        (one["id"], [node["html"][:150] for node in one["nodes"][:3]])
        for one in found["violations"]
    ]


@pytest.mark.parametrize(
    ("scheme", "only"),
    [
        (
            "light",
            "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']",
        ),
        ("dark", "{ type: 'rule', values: ['color-contrast'] }"),  # all that is different
    ],
)
def test_axe_finds_nothing(new_tab: Callable[..., Tab], axe: str, scheme: str, only: str) -> None:
    tab = new_tab(color_scheme=scheme)
    for view in VIEWS[1:]:
        tab.open(view)
        tab.page.wait_for_selector(SEEN[view])
        assert _faults(tab, axe, only) == [], view
    tab.open()
    tab.images()
    tab.page.keyboard.press("a")
    tab.page.wait_for_selector(".selection")
    assert _faults(tab, axe, only) == [], "timeline, all selected"
    tab.page.keyboard.press("Escape")
    tab.search(17)
    tab.page.keyboard.press("b")
    tab.page.click("[data-filter=place]")
    assert _faults(tab, axe, only) == [], "search, box and filter"
    tab.page.keyboard.press("Escape")
    tab.page.locator("li.tile > a").first.click()
    tab.page.wait_for_selector(".match", state="attached")
    assert _faults(tab, axe, only) == [], "explanation"
    tab.shot(f"explanation-{scheme}")
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("?")
    assert _faults(tab, axe, only) == [], "shortcuts"


def test_the_reference_of_the_api_can_be_read(new_tab: Callable[..., Tab], axe: str) -> None:
    tab = new_tab(size=(390, 844))
    tab.open()
    tab.images()
    tab.page.keyboard.press("?")
    tab.page.click("text=API reference")
    tab.page.wait_for_selector("#search")
    tab.page.click("a[href='#type-SearchForm']")
    tab.page.wait_for_selector("#type-SearchForm:target")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.page.evaluate("getComputedStyle(document.querySelector('h2')).marginTop") == "48px"
    assert _faults(tab, axe, "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']") == []


def test_everything_by_keyboard(tab: Tab) -> None:
    page = tab.page
    tab.open()
    tab.images()
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to the images"
    page.keyboard.press("g")
    first = page.get_attribute(":focus img", "alt")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute(":focus img", "alt") == first
    page.keyboard.press("s")
    page.wait_for_selector(".search .mark.matching")

    page.keyboard.press("b")
    tab.until("/region=0.25/.test(location.search)")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    tab.until("location.search.includes('region=0.310,0.250,0.500,0.520')")
    tab.until("/across|match/i.test(document.querySelector('#status').innerText)")
    page.keyboard.press("Delete")
    tab.until("!location.search.includes('region')")
    tab.until("!document.querySelector('.renewing')")

    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("-")
    page.wait_for_selector(".examples.unlike img")
    tab.until("!document.querySelector('.renewing')")
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.detail")
    # The focus stays in the dialog, however often Tab is pressed.
    for _ in range(14):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body ||"
                             " Boolean(document.activeElement.closest('dialog'))")  # fmt: skip
    page.keyboard.press("Escape")
    tab.until("!document.querySelector('dialog')")
    assert page.evaluate("Boolean(document.activeElement.closest('li.tile'))")

    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_selector(".panel")
    page.keyboard.press("Escape")
    assert page.get_attribute(":focus", "data-filter") == "folder"
    page.keyboard.press("4")
    page.wait_for_selector(".group")
    page.keyboard.press("?")
    page.wait_for_selector("dialog.shortcuts")
    page.uncheck("dialog input")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert "duplicates" in page.url


def test_the_focus_can_be_seen(tab: Tab) -> None:
    tab.open()
    tab.images()
    for _ in range(14):
        tab.page.keyboard.press("Tab")
        outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", tab.page.evaluate("document.activeElement.outerHTML")


@pytest.mark.parametrize("width", [320, 390, 2200])
def test_no_width_cuts_anything_off(new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(size=(width, 844))
    for view in VIEWS if width == 390 else VIEWS[1:4]:
        tab.open(view)
        tab.page.wait_for_selector(SEEN[view])
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, view
        if width == 390:
            tab.shot(f"phone-{view[6:] or 'timeline'}")
    tab.open()
    tab.search(17)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    cut = """[...document.querySelectorAll(".mark-score")].filter((score) => {
      const [own, mark] = [score, score.parentElement].map((e) => e.getBoundingClientRect());
      return own.top < mark.bottom - 1 && own.right > mark.right;
    }).length"""
    assert tab.page.evaluate(cut) == 0
    tab.page.locator("li.tile > a").first.click()
    tab.page.wait_for_selector(".match", state="attached")
    dialog = tab.page.locator("dialog").bounding_box()
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= width
    for frame in tab.page.locator(".pair-frame").all():
        box = frame.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] > 100
    tab.shot(f"explanation-{width}")


def test_light_and_dark_are_a_choice_that_lasts(tab: Tab) -> None:
    tab.open()
    tab.images()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    tab.page.keyboard.press("t")
    tab.until("document.documentElement.dataset.theme === 'light'")
    assert tab.page.evaluate(ground) == light
    tab.page.keyboard.press("t")
    tab.until("document.documentElement.dataset.theme === 'dark'")
    dark = tab.page.evaluate(ground)
    assert dark != light
    tab.page.reload()
    assert tab.page.evaluate(ground) == dark


def test_nothing_comes_from_elsewhere(tab: Tab) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.open()
    tab.search(17)
    tab.page.locator("li.tile > a").first.click()
    tab.page.wait_for_selector(".match", state="attached")
    tab.open("?view=map")
    tab.page.wait_for_selector(".pin")
    assert len(asked) > 50
    assert all(one.startswith((tab.address, "blob:", "data:")) for one in asked)


def test_rows_fill_the_width(tab: Tab) -> None:
    tab.open()
    rows = tab.page.evaluate(
        """async () => {
          const { justify } = await import("./assets/grid.js");
          const random = (seed) => () => (seed = (seed * 16807) % 2147483647) / 2147483647;
          const all = [];
          for (let seed = 1; seed < 60; seed++) {
            const next = random(seed);
            const aspects = [...Array(1 + Math.floor(next() * 40))].map(() => 0.4 + 3.6 * next());
            const width = 280 + Math.floor(next() * 2000);
            const target = 120 + next() * 150;
            all.push({ aspects, width, target, rows: justify(aspects, width, target, 6) });
          }
          return all;
        }"""
    )
    for case in rows:
        placed = 0
        for number, row in enumerate(case["rows"]):
            count = len(row["widths"])
            assert row["start"] == placed
            placed += count
            total = sum(row["widths"]) + 6 * (count - 1)
            if row["full"]:
                assert total == case["width"]
                assert case["target"] / 4.1 < row["height"] < case["target"] * 4.1
                for wide, aspect in zip(
                    row["widths"][:-1], case["aspects"][row["start"] :], strict=False
                ):
                    assert abs(wide / row["height"] - aspect) < 0.05
            else:
                assert number == len(case["rows"]) - 1
                assert total <= case["width"]
        assert placed == len(case["aspects"])
