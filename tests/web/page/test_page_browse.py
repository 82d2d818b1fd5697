from __future__ import annotations

from collections.abc import Callable

import scenes
from tab import Gallery, Tab


def test_the_timeline_goes_month_by_month(tab: Tab) -> None:
    tab.open()
    tab.images()
    titles = tab.page.locator(".section-title").all_inner_texts()
    assert titles[0] == "December 2022"
    assert titles == sorted(titles, key=lambda t: -int(t.split()[1]))
    # Months of few images share a row.
    tops = tab.page.eval_on_selector_all(
        ".section-title", "l => l.map(t => Math.round(t.getBoundingClientRect().top))"
    )
    assert tops[0] == tops[1] < tops[-1]
    tab.page.locator(".rail a[aria-label^='2019']").click()
    tab.until("document.querySelector('.section-title')?.textContent.endsWith('2019')")
    tab.shot("timeline")
    tab.page.click("text=Back to the newest")
    tab.until("document.querySelector('.section-title')?.textContent === 'December 2022'")


def test_folders_lead_into_folders(tab: Tab) -> None:
    tab.open("?view=folders")
    tab.page.wait_for_selector(".cover img")
    names = tab.page.locator(".folder strong").all_inner_texts()
    assert names == ["coast", "town"]
    tab.page.click(".folder:has-text('coast')")
    tab.page.wait_for_selector("h1:has-text('coast')")
    assert tab.page.inner_text(".browse .count") == "51 files"
    tab.page.click(".folder:has-text('summer')")
    tab.page.wait_for_selector("h1:has-text('summer')")
    tab.until("document.querySelectorAll('li.tile').length === 30")
    tab.page.click(".crumbs a:has-text('images')")
    tab.page.wait_for_selector(".folder:has-text('town')")


def test_the_map_gathers_images_and_opens_them(tab: Tab) -> None:
    tab.open("?view=map")
    tab.page.wait_for_selector(".pin")
    assert "of 90 images have a location" in tab.page.inner_text(".count")
    said = tab.page.locator(".badge").all_inner_texts()
    assert sum(int(one) for one in said) == 67  # three in four of the images
    tab.page.locator(".pin").first.click()
    tab.page.wait_for_selector(".map-list li.tile img.there")
    assert "near=" in tab.page.url
    tab.until("/Paris|London|Stockholm/.test(document.querySelector('.map-list h2').textContent)")
    tab.shot("map")
    scale = "document.querySelector('.map-scale').style.width"
    before = tab.page.evaluate(scale)
    tab.page.locator(".worldmap").focus()
    tab.page.keyboard.press("+")
    tab.page.keyboard.press("ArrowLeft")
    assert tab.page.evaluate(scale) != before


def test_duplicates_name_every_file(tab: Tab) -> None:
    tab.open("?view=duplicates")
    tab.page.wait_for_selector(".group")
    assert tab.page.inner_text(".count") == "1 group"
    assert tab.page.locator(".paths .keep").all_inner_texts() == ["Keep"]
    assert tab.page.inner_text(".could-remove") == "Could remove"
    names = tab.page.locator(".paths strong").all_inner_texts()
    assert sorted(names) == ["again.jpg", "scene-005.jpg"]
    tab.page.click(".preview")
    tab.page.wait_for_selector("dialog .single")
    tab.shot("duplicates")


def test_an_index_run_behind_a_token(own_gallery: Gallery, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(own_gallery.address)
    tab.refusals = (401,)  # the locked door
    tab.open("?view=index")
    tab.page.wait_for_selector("dialog.token")
    tab.page.keyboard.press("Escape")
    tab.page.click("text=Enter the token")  # the page is not left empty
    tab.page.wait_for_selector("dialog.token")
    tab.page.fill("dialog input", "not the token")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("text=The token is wrong.")
    tab.page.fill("dialog input", "a-token-for-the-page-0123")
    tab.page.click("text=Open the gallery")
    tab.page.wait_for_selector("dd:has-text('6')")
    assert "token" not in tab.page.url
    tab.page.click("text=Index now")
    tab.page.wait_for_selector("progress")
    tab.until("/: done$/.test(document.querySelector('.run h2')?.textContent)")
    assert "24 added" in tab.page.inner_text(".run .count")
    assert "broken.jpg" in tab.page.inner_text(".failures")
    tab.page.wait_for_selector("dd:has-text('30')")
    tab.shot("index-run")
    tab.page.click("#views >> text=Timeline")
    tab.until("document.querySelectorAll('li.tile').length === 30")
    tab.page.click("#views >> text=Add")
    photo = {"name": "own.jpg", "mimeType": "image/jpeg", "buffer": scenes.altered(99)}
    tab.page.set_input_files("input[type=file]", photo)
    tab.until("/: done$/.test(document.querySelector('.run h2')?.textContent)")
    tab.page.wait_for_selector("dd:has-text('31')")
    tab.page.click("[aria-label='Log out']")
    tab.page.wait_for_selector("dialog.token")
