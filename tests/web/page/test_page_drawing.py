"""Searching with a drawing, with a change in words, and for two things in a relation."""

from __future__ import annotations

from collections.abc import Callable

from tab import Gallery, Tab

import glocal

WIDTHS = (390, 1024, 1440)


def test_a_drawing_searches_and_the_switch_is_refused_until_it_is_learnt(tab: Tab) -> None:
    tab.open()
    tab.images()
    tab.page.keyboard.press("d")
    pad = tab.page.get_by_role("img", name="Drawing")
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.wait_for_selector("text=Nothing is drawn yet")
    box = pad.bounding_box()
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
          for x, y in ((0.2, 0.3), (0.7, 0.3), (0.7, 0.8), (0.2, 0.8), (0.2, 0.3))]  # fmt: skip
    tab.page.mouse.move(*at[0])
    tab.page.mouse.down()
    for point in at[1:]:
        tab.page.mouse.move(*point, steps=4)
    tab.page.mouse.up()
    ink = (
        "document.querySelector('.pad').getContext('2d').getImageData(128, 330, 1, 1).data[0] < 99"
    )
    tab.until(ink)
    pad.focus()
    for key in (" ", "ArrowRight", "ArrowDown", " "):
        tab.page.keyboard.press(key)
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.shot(f"pad-{width}")
    tab.page.get_by_role("button", name="Undo").click()
    tab.until(ink)
    tab.page.get_by_role("button", name="Undo").click()
    tab.until("!(" + ink + ")")
    pad.focus()
    for key in (" ", *["ArrowRight"] * 8, *["ArrowDown"] * 8, *["ArrowLeft"] * 8, " "):
        tab.page.keyboard.press(key)
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.wait_for_selector(".search li.tile img.there")
    assert "sketch=view" in tab.page.url
    assert tab.page.locator(".query-panel img").get_attribute("alt") == "Your drawing"
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.shot(f"drawn-{width}")
    tab.refusals = (422,)
    tab.page.get_by_label("Which views to find").select_option("any")
    tab.page.wait_for_selector("text=any view has to be learnt first")


def test_words_change_the_query_image(colours: Gallery, new_tab: Callable[..., Tab]) -> None:
    with glocal.open(colours.images.parent / "gallery") as gallery:
        query = colours.images / "red" / "0r.png"
        expected = [hit.path.name for hit in gallery.search(query, change="blue", limit=20)]
    tab = new_tab(colours.address)
    tab.open()
    tab.images()
    tile = tab.page.locator("li.tile:has(img[alt^='0r.png'])")
    tile.hover()
    tile.get_by_label("Search with this").click()
    field = tab.page.get_by_role("searchbox", name="What is to be different")
    field.fill("blue")
    field.press("Enter")
    tab.page.wait_for_selector(".search .mark:has-text('As changed')")
    assert "change=blue" in tab.page.url
    assert [name.split(",")[0] for name in tab.names()[:20]] == expected
    assert not tab.page.get_by_role("button", name="Small objects").count()
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.shot(f"changed-{width}")
    tab.page.go_back()
    tab.until("!location.search.includes('change')")
    assert field.input_value() == ""
    field.fill("blue")
    field.press("Enter")
    words = tab.page.get_by_role("searchbox", name="Search words")
    words.fill("red")
    words.press("Enter")
    tab.until("location.search.includes('text=red') && !location.search.includes('change')")


def test_a_second_box_searches_for_a_relation(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    tab.page.get_by_role("button", name="Box", exact=True).click()
    tab.page.wait_for_url("**region=*")
    tab.page.get_by_role("button", name="Second box").click()
    tab.page.wait_for_url("**second=*")
    for _ in range(5):
        tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_url("**second=0.030,0.430,0.350,0.350*")
    tab.page.wait_for_selector(".search li.tile .region-line.second")
    assert "%" in tab.page.locator("li.tile .mark").first.inner_text()
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.shot(f"pair-{width}")
    tab.page.get_by_label("How the first thing stands").select_option("below")
    tab.page.wait_for_url("**relation=below*")
    frame = tab.page.locator(".query-frame").bounding_box()
    left, top = frame["x"], frame["y"]
    grip = tab.page.locator(".box.second .grip.se").bounding_box()
    tab.page.mouse.move(grip["x"] + 9, grip["y"] + 9)
    tab.page.mouse.down()
    tab.page.mouse.move(left + frame["width"] * 0.9, top + frame["height"] * 0.9, steps=4)
    tab.page.mouse.up()
    tab.until("!location.search.includes('0.430,0.350,0.350')")
    tab.page.keyboard.press("Delete")
    tab.until("!location.search.includes('second') && !location.search.includes('relation')")
    tab.until("location.search.includes('region')")
