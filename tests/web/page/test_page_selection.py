from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from tab import Gallery, Tab


def _downloaded(tab: Tab, words: str) -> bytes:
    with tab.page.expect_download() as download:
        tab.page.click(f".selection >> text={words}")
    return Path(download.value.path()).read_bytes()


def test_images_are_selected_and_taken_along(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
    tab.open()
    tab.images().nth(1).locator("a").click(modifiers=["Control"])
    tab.page.locator("li.tile a").nth(4).click(modifiers=["Shift"])
    tab.page.wait_for_selector(".selection >> text=4 selected")
    chosen = tab.page.eval_on_selector_all(
        "li.tile.selected", "l => l.map((one) => one.image.path)"
    )
    with zipfile.ZipFile(io.BytesIO(_downloaded(tab, "ZIP"))) as archive:
        names = archive.namelist()
        table = archive.read("images.csv").decode("utf-8-sig")
    assert sorted(names) == sorted(["images.csv", *(Path(path).name for path in chosen)])
    assert _downloaded(tab, "CSV").decode("utf-8-sig") == table
    assert [row["path"] for row in csv.DictReader(io.StringIO(table))] == chosen
    tab.page.click("text=Copy paths")
    tab.page.wait_for_selector("text=4 paths copied.")
    assert tab.page.evaluate("navigator.clipboard.readText()").splitlines() == chosen
    # While there is a selection, a click adds to it and takes from it; keys do so at any time.
    tab.page.locator("li.tile a").nth(4).click()
    tab.page.wait_for_selector(".selection >> text=3 selected")
    tab.page.keyboard.press("Escape")
    tab.until("document.querySelector('.selection').hidden")
    tab.page.keyboard.press("g")
    tab.page.keyboard.press("x")
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Shift+X")
    tab.page.wait_for_selector(".selection >> text=3 selected")
    assert tab.page.locator("li.tile [role=checkbox][aria-checked=true]").count() == 3
    tab.shot("selection")
    tab.page.keyboard.press("Enter")  # opens, and selects nothing
    tab.page.wait_for_selector("dialog .single")
    tab.page.click("dialog [aria-label='Copy path']")
    tab.page.wait_for_selector("text=Path copied.")
    path = tab.page.evaluate("navigator.clipboard.readText()")
    assert Path(path).name == tab.page.inner_text("dialog h2")


def test_images_are_sorted_and_found_by_their_name(gallery: Gallery, tab: Tab) -> None:
    tab.open()
    tab.images()
    tab.page.select_option("select[aria-label=Sort]", label="Name, Z to A")
    tab.until("document.querySelector('li.tile img')?.alt.startsWith('scene-089')")
    tab.page.fill("[aria-label='File name contains']", "ENE-00")
    tab.page.keyboard.press("Enter")
    tab.until("document.querySelector('.browse .count')?.textContent === '10 images'")
    names = [name[:9] for name in tab.names()]
    assert names == [f"scene-{n:03}" for n in range(9, -1, -1)]
    assert tab.page.evaluate("document.activeElement.name") == "name"
    tab.open(f"?view=folders&folder={gallery.images / 'coast'}&sort=-name&name=again")
    assert [name[:9] for name in tab.names()] == ["again.jpg"]
