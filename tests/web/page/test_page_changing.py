"""A query image is changed by words, where the gallery has a text model."""

from __future__ import annotations

from collections.abc import Callable

from tab import Gallery, Tab

import glocal

WIDTHS = (390, 1024, 1440)


def test_words_change_the_query_image(new_tab: Callable[..., Tab], colours: Gallery) -> None:
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
