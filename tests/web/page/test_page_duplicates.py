from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tab import Gallery, Tab


def _groups(tab: Tab) -> list[list[str]]:
    """The files of each group, once there are any."""
    tab.page.wait_for_selector(".group")
    return [
        one.locator(".paths strong").all_inner_texts() for one in tab.page.locator(".group").all()
    ]


def _faults(tab: Tab, axe: str) -> list[Any]:
    tab.page.evaluate(f"if (!window.axe) {{ {axe} }}; undefined")
    only = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
    found = tab.page.evaluate(
        f"axe.run(document, {{ runOnly: {only}, resultTypes: ['violations'] }})"
    )
    return [
        (one["id"], [node["html"][:150] for node in one["nodes"][:3]])
        for one in found["violations"]
    ]


def test_what_counts_is_chosen_by_keyboard(
    copies: Gallery, new_tab: Callable[..., Tab], axe: str
) -> None:
    tab = new_tab(copies.address)
    page = tab.page
    tab.open("?view=duplicates")
    assert _groups(tab) == [["again-006-2.webp", "again-006.webp"]]
    chosen = page.get_by_role("radio", name="Identical files")
    assert chosen.is_checked()
    chosen.focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="Copies").is_checked()
    page.wait_for_selector("progress:not([hidden])")
    tab.until("document.querySelectorAll('.group').length === 2")
    assert page.url.endswith("?view=duplicates&level=copy")
    assert sorted(_groups(tab)) == [
        ["scene-003.jpg", "crop-003.jpg"],
        ["scene-006.jpg", "again-006-2.webp", "again-006.webp"],
    ]
    assert page.is_hidden("progress")
    assert page.evaluate("document.activeElement.value") == "copy"  # the focus has stayed
    assert page.inner_text(".count").startswith("2 groups · ")
    assert page.inner_text("#status").strip() == page.inner_text(".count")
    assert page.locator(".best").all_inner_texts() == ["Keep", "Keep"]
    # Of the re-encoded one it is not certain that the other one is as good in every respect.
    assert page.locator(".spare").all_inner_texts() == ["Extra"] * 2
    assert page.locator(".group .verdict").all_inner_texts() == ["Copy", "Copy"]
    assert _faults(tab, axe) == []
    tab.shot("duplicates-copies")
    page.reload()  # the address says what was chosen
    assert len(_groups(tab)) == 2
    assert page.get_by_role("radio", name="Copies").is_checked()


def test_two_members_stand_side_by_side(copies: Gallery, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(copies.address)
    tab.open("?view=duplicates&level=copy")
    _groups(tab)
    tab.page.click("text=Compare >> nth=0")
    tab.page.wait_for_selector("dialog .match", state="attached")
    assert tab.page.locator("dialog .pair-frame").count() == 2
    assert tab.page.inner_text("dialog .verdict") == "Copy"
    tab.shot("duplicates-compare")
    tab.page.keyboard.press("Escape")
    tab.until("!document.querySelector('dialog')")
    assert tab.page.url.endswith("?view=duplicates&level=copy")


def test_the_paths_of_extra_files_are_copied(copies: Gallery, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(copies.address, permissions=["clipboard-read", "clipboard-write"])
    tab.open("?view=duplicates")
    _groups(tab)
    tab.page.click("text=Copy paths of extra files")
    tab.page.wait_for_selector("text=1 path copied.")
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied == str(copies.images / "sent" / "again-006-2.webp")


def test_a_choice_that_is_passed_over_asks_nothing(
    copies: Gallery, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(copies.address)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.open("?view=duplicates")
    _groups(tab)
    tab.page.get_by_role("radio", name="Identical files").focus()
    for key in ("ArrowRight", "ArrowRight"):
        tab.page.keyboard.press(key)
    tab.until("/group/.test(document.querySelector('.count').textContent)")
    assert tab.page.url.endswith("level=object")
    assert any("level=object" in one for one in asked)
    assert not any("level=copy" in one for one in asked if "/v1/" in one)
    words = [one.inner_text() for one in tab.page.locator(".group h2").all()]
    assert "Same object · 2 images" in words
    tab.shot("duplicates-same")


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(copies: Gallery, new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(copies.address, size=(width, 844))
    tab.open("?view=duplicates&level=copy")
    _groups(tab)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    for one in tab.page.locator(".segments label").all():
        box = one.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    tab.shot(f"duplicates-phone-{width}")


def test_a_failure_is_told_and_can_be_tried_again(
    copies: Gallery, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(copies.address)
    problem = '{"title": "Service Unavailable", "status": 503, "detail": "it took too long"}'
    refused = {"status": 503, "content_type": "application/problem+json", "body": problem}
    tab.page.route("**/v1/duplicates?level=copy*", lambda route: route.fulfill(**refused))
    tab.open("?view=duplicates&level=copy")
    tab.page.wait_for_selector("text=It took too long.")
    tab.page.unroute("**/v1/duplicates?level=copy*")
    tab.page.click("text=Try again")
    assert len(_groups(tab)) == 2
    assert all("503" in error for error in tab.errors)  # the browser's line for the refusal
    tab.errors.clear()


def test_without_duplicates_it_says_so(gallery: Gallery, tab: Tab) -> None:
    empty = (
        '{"level": "copy", "state": "done", "progress": null, "groups": [], "total": 0,'
        ' "left_out": 0, "bytes_to_free": 0, "next": null}'
    )
    answer = {"content_type": "application/json", "body": empty}
    tab.page.route("**/v1/duplicates?*", lambda route: route.fulfill(**answer))
    tab.open("?view=duplicates&level=copy")
    tab.page.wait_for_selector("text=There are no copies.")


def test_the_progress_is_shown(tab: Tab, axe: str) -> None:
    comparing = (
        '{"level": "copy", "state": "comparing", "groups": [], "total": null, "left_out": 0,'
        ' "progress": {"stage": "verify", "done": 1500, "total": 4000},'
        ' "bytes_to_free": null, "next": null}'
    )
    answer = {"content_type": "application/json", "body": comparing}
    tab.page.route("**/v1/duplicates?*", lambda route: route.fulfill(**answer))
    tab.open("?view=duplicates&level=copy")
    tab.page.wait_for_selector("text=Comparing images · 1,500 of 4,000")
    assert tab.page.evaluate("document.querySelector('progress').value") == 1500
    assert tab.page.evaluate("document.querySelector('progress').max") == 4000
    assert tab.page.inner_text("#status").strip() == tab.page.inner_text(".count")
    assert _faults(tab, axe) == []
    tab.shot("duplicates-comparing")
    tab.page.get_by_role("radio", name="Identical files").check()
    tab.page.unroute("**/v1/duplicates?*")
    assert len(_groups(tab)) == 1
    assert tab.page.is_hidden("progress")
