"""Searches by words and by a place, at the three widths that drawings and regions are tested at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tab import Tab
from test_page_drawing import WIDTHS

CUT = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("width", WIDTHS)
def test_words_are_typed_and_found(new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(size=(width, 800))
    tab.open()
    field = tab.page.get_by_role("searchbox", name="Search words")
    field.fill("town scene-01")
    field.press("Enter")
    tab.page.wait_for_selector(".search .mark.said")
    assert len(tab.names()) == 10
    said = tab.page.locator(".mark.said").first
    assert said.is_visible()
    box = said.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert tab.page.evaluate(CUT) <= width
    tab.shot(f"words-{width}")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_place_is_chosen_on_the_map(new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(size=(width, 800))
    tab.open("?view=map")
    tab.page.wait_for_selector(".pin")
    tab.page.locator(".pin").first.click()
    tab.page.wait_for_selector(".map-list li.tile img.there")
    assert "near=" in tab.page.url
    assert "of 90 images have a location" in tab.page.inner_text(".count")
    assert tab.page.inner_text(".map-list h2")
    assert tab.page.evaluate(CUT) <= width
    tab.shot(f"place-{width}")


@pytest.mark.parametrize("width", WIDTHS)
def test_where_a_photo_was_taken_is_asked_and_told(new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(size=(width, 800))
    tab.open()
    tab.search(3)
    button = tab.page.get_by_role("button", name="Where is it?")
    box = button.bounding_box()
    assert box["x"] + box["width"] <= width
    button.click()
    tab.page.wait_for_selector(".places li, .places p")
    said = tab.page.inner_text(".places")
    assert "within 0.2 km of" in said or "similar enough" in said
    assert tab.page.evaluate(CUT) <= width
    tab.page.locator(".places").scroll_into_view_if_needed()
    tab.shot(f"where-{width}")
    if tab.page.locator(".places a").count():
        tab.page.locator(".places a").first.click()
        tab.page.wait_for_url("**view=map*")
