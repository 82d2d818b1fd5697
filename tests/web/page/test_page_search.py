from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import scenes
from tab import Gallery, Tab


def test_a_dropped_image_finds_its_original_first(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    assert tab.names()[0].startswith("scene-017.jpg")
    assert re.search(r"Found in 1 image · .* ms", tab.page.inner_text(".count"))
    assert tab.page.inner_text("#status").startswith("Found in 1 image")
    sections = tab.page.locator(".search .grid-section")
    assert sections.locator("h2").all_inner_texts() == ["Found in 1 image", "Similar, but no match"]
    assert sections.first.locator("li.tile").count() == 1
    assert not tab.page.locator(".change:visible").count()  # this gallery has no text model
    tab.shot("search")


def test_a_file_of_the_gallery_is_called_identical(tab: Tab, gallery: Gallery) -> None:
    tab.open()
    with tab.page.expect_file_chooser() as chooser:
        tab.page.click("text=Choose an image")
    chooser.value.set_files(gallery.images / "town" / "scene-008.jpg")
    tab.page.wait_for_selector(".search .mark.matching")
    assert "Identical" in tab.page.locator("li.tile").first.inner_text()


def test_words_find_names_and_narrow_an_image_search(tab: Tab) -> None:
    tab.open()
    field = tab.page.get_by_role("searchbox", name="Search words")
    field.fill("town scene-01")
    field.press("Enter")
    tab.images()
    tab.page.wait_for_selector(".search .mark.said")
    assert {name.split(",")[0] for name in tab.names()} == {f"scene-01{n}.jpg" for n in range(10)}
    assert tab.page.locator(".mark.said").first.inner_text().startswith("Name scene-01")
    tab.shot("words")
    tab.page.set_viewport_size({"width": 390, "height": 800})
    tab.shot("words-narrow")
    field.fill("nothing-like-it")
    tab.page.wait_for_selector("text=No image has these words")
    tab.page.go_back()
    tab.search(17)
    field.fill("scene-012")
    field.press("Enter")
    tab.page.wait_for_selector(".search .mark.said")
    assert "text=scene-012" in tab.page.url
    first, second = tab.names()[:2]
    assert first.startswith("scene-017.jpg")  # a match stays before what words have found
    assert second.startswith("scene-012.jpg")
    tab.shot("words-and-image")


def test_a_pasted_image_is_searched_for(tab: Tab) -> None:
    tab.open()
    tab.images()
    tab.page.evaluate(
        """async (text) => {
          const clipboardData = new DataTransfer();
          const blob = await (await fetch(text)).blob();
          clipboardData.items.add(new File([blob], "pasted.jpg", { type: "image/jpeg" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        tab.page.eval_on_selector("li.tile img", "i => i.src"),
    )
    tab.page.wait_for_selector(".search li.tile img.there")
    assert "like=u-" in tab.page.url


def test_the_camera_takes_a_photo(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(permissions=["camera"])
    tab.open()
    tab.page.click("text=Use the camera")
    tab.until("document.querySelector('dialog video')?.videoWidth > 0")
    tab.page.click("text=Take photo")
    tab.page.wait_for_selector(".search li.tile img.there")


def test_a_box_searches_for_a_part(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    whole = tab.names()
    # Only the loaded image gives the frame its size.
    tab.until("document.querySelector('.query-frame img').naturalWidth")
    frame = tab.page.locator(".query-frame").bounding_box()
    tab.page.mouse.move(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] * 0.1)
    tab.page.mouse.down()
    for share in (0.3, 0.5):
        tab.page.mouse.move(
            frame["x"] + frame["width"] * share, frame["y"] + frame["height"] * share
        )
    tab.page.mouse.up()
    tab.until("location.search.includes('region=0.1')")
    region = re.search(r"region=([\d.,]+)", tab.page.url)
    assert region
    assert [float(n) for n in region[1].split(",")] == pytest.approx([0.1, 0.1, 0.4, 0.4], abs=0.02)
    tab.until("!document.querySelector('.renewing')")
    assert tab.names() != whole
    tab.shot("box")

    # A corner is drawn further out.
    grip = tab.page.locator(".box:not(.second) > .grip.se").bounding_box()
    tab.page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    tab.page.mouse.down()
    tab.page.mouse.move(frame["x"] + frame["width"] * 0.8, frame["y"] + frame["height"] * 0.7)
    tab.page.mouse.up()
    tab.until("/region=0.1\\d*,0.1\\d*,0.[67]/.test(location.search)")

    tab.page.click("text=Whole image")
    tab.until("!location.search.includes('region')")
    tab.until("!document.querySelector('.renewing')")
    assert tab.names() == whole


def test_positive_and_negative_examples(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    second = tab.page.locator("li.tile").nth(1)
    name = second.locator("img").get_attribute("alt")
    second.hover()
    second.locator("button[aria-label='Less like this']").click()
    tab.page.wait_for_selector(".examples.unlike img")
    tab.until("!document.querySelector('.renewing')")
    assert name not in tab.names()[:2]
    third = tab.page.locator("li.tile").nth(2)
    name = third.locator("img").get_attribute("alt")
    third.hover()
    third.locator("button[aria-label='More like this']").click()
    tab.page.wait_for_selector(".examples.like img")
    tab.until("!document.querySelector('.renewing')")
    assert name in tab.names()[:2]
    tab.page.click(".examples.unlike button.plain")
    tab.page.click(".examples.like button.plain")
    tab.until("!/unlike=|like=.*like=/.test(location.search)")


def test_filters_narrow_and_tell_what_they_do_not_understand(tab: Tab) -> None:
    tab.open()
    tab.search(3)
    tab.page.click("[data-filter=folder]")
    tab.page.fill(".panel input", "summ")
    tab.page.click(".pick:has-text('summer')")
    tab.until("document.querySelectorAll('li.tile').length === 30")
    tab.page.click("[data-filter=date]")
    tab.page.click(".years button:has-text('2020')")
    tab.until("document.querySelectorAll('li.tile').length === 6")
    tab.page.click("[data-filter=camera]")
    tab.page.click(".pick:has-text('Canon')")
    tab.until("document.querySelectorAll('li.tile').length === 2")
    assert "folder=" in tab.page.url
    assert "camera=" in tab.page.url
    tab.page.click("text=Clear all")
    tab.until("document.querySelectorAll('li.tile').length === 60")
    tab.page.click("[data-filter=more]")
    tab.refusals = (422,)
    tab.page.fill(".panel textarea", "width >")
    tab.page.click(".panel >> text=Apply")
    tab.page.wait_for_selector(".grid-foot [role=alert]")
    assert "the condition ends" in tab.page.inner_text(".grid-foot").lower()


def test_a_least_similarity_and_small_objects_are_chosen(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    tab.page.click("[data-filter=score]")
    tab.page.locator(".panel input").press("End")
    tab.page.click(".panel >> text=Apply")
    tab.until("document.querySelectorAll('li.tile').length === 1")  # the match stays
    assert "score=1.00" in tab.page.url
    # The next page of the search before may be on its way still.
    with tab.page.expect_request(lambda sent: "small_objects" in (sent.post_data or "")) as sent:
        tab.page.click("text=Small objects")
    assert 'name="small_objects"' in sent.value.post_data
    assert 'name="min_score"' in sent.value.post_data
    tab.page.wait_for_selector(".search li.tile img.there")
    assert tab.page.get_attribute("text=Small objects >> xpath=..", "aria-pressed") == "true"


def test_hits_go_on_as_one_scrolls(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    assert tab.page.locator("li.tile").count() == 60
    tab.page.keyboard.press("End")
    tab.page.mouse.wheel(0, 9000)
    tab.until("document.querySelectorAll('li.tile').length === 90")
    tab.until("document.querySelector('.count').textContent.startsWith('Found in ')")


def test_a_search_is_a_link_and_has_a_way_back(tab: Tab, new_tab: Callable[..., Tab]) -> None:
    tab.open()
    tab.images().nth(4).hover()
    tab.page.locator("li.tile").nth(4).locator("button[aria-label='Search with this']").click()
    tab.page.wait_for_selector(".search .mark.matching")
    found = tab.names()
    other = new_tab()
    other.page.goto(tab.page.url)
    assert other.names() == found
    tab.page.go_back()
    tab.page.wait_for_selector(".hero")
    tab.page.go_forward()
    tab.page.wait_for_selector(".search li.tile")
    assert tab.names() == found


def test_a_file_that_is_not_an_image_is_answered_with_a_sentence(tab: Tab) -> None:
    tab.open()
    tab.images()
    tab.refusals = (415, 422)
    tab.drop(b"no image at all")
    tab.page.wait_for_selector(".notice.error")
    assert "Unsupported format; use JPEG" in tab.page.inner_text(".notice.error")
    tab.page.click("[aria-label='Close this message']")
    tab.drop(b"words", kind="text/plain")
    tab.page.wait_for_selector("text=This file isn't an image.")


def test_a_search_whose_image_is_gone_says_so(tab: Tab) -> None:
    tab.refusals = (404, 410)
    tab.open("?like=u-0123456789012345678901")
    tab.page.wait_for_selector(".notice.error")
    assert "no longer has your image" in tab.page.inner_text(".notice.error")
    assert "send the image again" in tab.page.inner_text(".grid-foot")


def test_a_new_upload_replaces_the_search(tab: Tab) -> None:
    tab.open()
    tab.search(3)
    tab.drop(scenes.altered(44))
    tab.until("document.querySelector('li.tile img')?.alt.startsWith('scene-044')")
