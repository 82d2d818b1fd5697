"""Faults that people met in the page, each once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import scenes
from tab import Gallery, Tab


def _answer(tab: Tab, pattern: str, change: Callable[[Any], Any]) -> None:
    """Let the server's answers to some requests come changed."""

    def fulfil(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(change(answer.json())))

    tab.page.route(pattern, fulfil)


def _features(tab: Tab, **features: bool) -> None:
    _answer(
        tab,
        "**/v1/info",
        lambda info: info | {"features": info["features"] | features},
    )


def _paste(tab: Tab, text: str) -> None:
    tab.page.evaluate(
        """(text) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", text);
          document.body.dispatchEvent(
            new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData }));
        }""",
        text,
    )


def test_long_and_deep_folder_names_stay_in_their_panel(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(size=(390, 844))

    def deep(facets: Any) -> Any:
        folders, path = [], ""
        for depth in range(12):
            parent = path or None
            path = f"{path}/a folder with a rather long name {depth}"
            folders.append({"path": path, "name": path[-33:], "parent": parent, "files": 3})
        return facets | {"folders": folders}

    _answer(tab, "**/v1/facets", deep)
    tab.open()
    tab.images()
    tab.page.click("[data-filter=folder]")
    tab.page.wait_for_selector(".pick")
    for one in tab.page.locator(".panel input, .pick, .pick .tally").all():
        box = one.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    tab.shot("folder-filter")


def test_rows_fill_a_width_that_is_no_whole_number(tab: Tab) -> None:
    tab.open()
    tab.images()
    for width in ("1001.6px", "1234.5px"):
        tab.page.evaluate(f"document.querySelector('.grid-lists').style.width = '{width}'")
        tab.page.wait_for_timeout(100)
        lists = tab.page.evaluate(
            """[...document.querySelectorAll(".tiles")].map((list) => {
              const edge = list.getBoundingClientRect().right;
              const rows = new Map();
              for (const tile of list.children) {
                const box = tile.getBoundingClientRect();
                const row = rows.get(Math.round(box.top)) ?? [];
                rows.set(Math.round(box.top), [...row, edge - box.right]);
              }
              return [...rows.values()].map((ends) => Math.min(...ends));
            })"""
        )
        assert sum(map(len, lists)) > 12
        for rows in lists:
            assert all(-0.1 <= gap < 1.1 for gap in rows[:-1]), (width, rows)


def test_a_panorama_is_shown_whole(tab: Tab) -> None:
    def one(page: Any) -> Any:
        wide = page["images"][0] | {"width": 6000, "height": 700}
        return page | {"images": [wide, *page["images"][1:6]], "next": None}

    _answer(tab, "**/v1/images?*", one)
    tab.open()
    tab.images()
    box = tab.page.locator("li.tile").first.bounding_box()
    assert abs(box["width"] / box["height"] - 6000 / 700) < 0.2
    assert box["height"] >= 100


def test_an_image_whose_file_is_gone_says_so(tab: Tab) -> None:
    tab.open()
    link = tab.images().nth(1).locator("a")
    tab.refusals = (410,)
    tab.page.route("**/thumbnail?size=1280", lambda route: route.fulfill(status=410))
    link.click()
    tab.page.wait_for_selector("dialog >> text=The file of this image is missing")


def test_an_image_that_cannot_be_loaded_is_drawn_as_missing_everywhere(tab: Tab) -> None:
    tab.refusals = (410,)
    tab.page.route("**/thumbnail?*", lambda route: route.fulfill(status=410))
    tab.open()
    tab.page.wait_for_selector("li.tile")
    name = tab.page.locator("li.tile").first.get_attribute("data-id")
    searched = f"?like={name}"
    for view in ("", "?view=duplicates", "?view=folders", searched, f"{searched}&show={name}"):
        tab.open(view)
        tab.page.wait_for_selector("img[data-missing]", state="attached")
        broken = """[...document.images].filter(
          (one) => one.complete && !one.naturalWidth && one.hasAttribute("src")).length === 0"""
        tab.until(broken)
    tab.page.wait_for_selector("dialog >> text=The file of this image is missing")
    assert tab.page.locator(".notice").count() == 0


def test_a_drop_while_in_a_folder_searches_everywhere(gallery: Gallery, tab: Tab) -> None:
    tab.open(f"?view=folders&folder={gallery.images / 'coast'}")
    tab.images()
    tab.drop(scenes.altered(17))  # it lies in the other folder
    tab.page.wait_for_selector(".search .mark.matching")
    assert "folder=" not in tab.page.url
    assert tab.names()[0].startswith("scene-017.jpg")


def test_a_pasted_address_is_answered(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.refusals = (403, 404, 422)
    tab.open()
    tab.images()
    _paste(tab, "https://pictures.example/tower.jpg")
    tab.page.wait_for_selector("text=This server does not fetch addresses.")
    _paste(tab, "https://pictures.example/tower.jpg")
    assert tab.page.locator(".notice").count() == 1  # the same error is said once
    _features(tab, urls=True)
    asked: list[str] = []
    tab.page.on("request", lambda one: one.method == "POST" and asked.append(one.post_data or ""))
    tab.page.reload()
    tab.images()
    _paste(tab, "https://pictures.example/tower.jpg")
    tab.page.wait_for_selector(".notice.error")  # this server refuses; the page has asked it
    assert 'name="url"' in asked[0]
    assert "https://pictures.example/tower.jpg" in asked[0]
    # An address in the field of words is one, too.
    tab.page.click(".notice [aria-label='Close this message']")
    tab.page.get_by_role("searchbox", name="Search words").fill("http://10.0.0.1/a.jpg")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".notice.error")
    assert "http://10.0.0.1/a.jpg" in asked[1]
    assert "text=" not in tab.page.url


def test_whoever_may_only_read_is_told_so(tab: Tab) -> None:
    _features(tab, removing=False, deciding=False, index_runs=False, uploads=False)
    tab.open("?view=index")
    tab.page.wait_for_selector("text=You can search this gallery here, but not change it")


def test_a_map_without_positions_counts_nothing(tab: Tab) -> None:
    _features(tab, positions=False)
    _answer(tab, "**/v1/facets", lambda facets: facets | {"places": []})
    tab.open("?view=map")
    tab.page.wait_for_selector("text=This server does not say where images were taken.")
    assert tab.page.inner_text(".count") == ""


def test_a_tab_that_comes_back_shows_what_was_changed_elsewhere(tab: Tab) -> None:
    tab.open()
    tab.images()
    assert tab.page.inner_text(".browse .count") == "90 images"
    _answer(tab, "**/v1/info", lambda info: info | {"images": 89})
    _answer(tab, "**/v1/images?*", lambda page: page | {"total": 89})
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    tab.until("document.querySelector('.browse .count')?.textContent === '89 images'")
