from __future__ import annotations

from collections.abc import Callable

from tab import Tab


def _open_first_hit(tab: Tab, seed: int) -> None:
    tab.open()
    tab.search(seed)
    tab.page.locator("li.tile > a").first.click()
    tab.page.wait_for_selector(".match", state="attached")
    # Lines are drawn again when the images between which they run have come.
    tab.until(
        "[...document.querySelectorAll('dialog img')].every(i => i.complete && i.naturalWidth)"
    )
    tab.until("document.querySelector('.match circle')?.getBoundingClientRect().width > 0")


def test_query_and_hit_stand_side_by_side_with_lines(tab: Tab) -> None:
    _open_first_hit(tab, 17)
    assert tab.page.locator(".match").count() > 5
    assert "matching points verified" in tab.page.inner_text(".evidence")
    assert tab.page.inner_text("dialog h2") == "scene-017.jpg"
    query, hit = tab.page.locator(".pair-frame").all()
    assert query.bounding_box()["x"] < hit.bounding_box()["x"]
    # Each line begins in the one image and ends in the other.
    boxes = [one.bounding_box() for one in (query, hit)]
    ends = tab.page.eval_on_selector_all(
        ".match circle",
        "l => l.map(c => { const b = c.getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2]; })",
    )
    for at, (x, y) in enumerate(ends):
        box = boxes[at % 2]
        assert box["x"] - 1 <= x <= box["x"] + box["width"] + 1
        assert box["y"] - 1 <= y <= box["y"] + box["height"] + 1
    tab.shot("explanation")


def test_a_point_under_the_cursor_lights_its_counterpart(tab: Tab) -> None:
    _open_first_hit(tab, 17)
    query, hit = tab.page.locator(".pair-frame").all()
    end = tab.page.eval_on_selector(
        ".match circle", "c => { const {x, y, width, height} = c.getBoundingClientRect(); "
        "return {x, y, width, height}; }",
    )  # fmt: skip
    tab.page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2)
    target = tab.page.wait_for_selector(".target", state="attached").bounding_box()
    box = hit.bounding_box()
    assert box["x"] <= target["x"] + target["width"] / 2 <= box["x"] + box["width"]
    partner = tab.page.locator(".match.lit circle").nth(1).bounding_box()
    assert abs(partner["x"] + partner["width"] / 2 - target["x"] - target["width"] / 2) < 1
    tab.page.mouse.move(5, 5)
    tab.until("!document.querySelector('.target')")
    query.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_selector(".target", state="attached")
    tab.until("document.querySelector('dialog [role=status]').textContent.includes('corresponds')")


def test_the_heat_map_is_painted_and_follows_the_cursor(tab: Tab) -> None:
    _open_first_hit(tab, 17)
    tab.page.click("text=Heat map")
    assert tab.page.get_attribute("[data-toggle=heat]", "aria-pressed") == "true"
    read = "l => l.map(c => c.toDataURL())"
    before = tab.page.eval_on_selector_all("canvas.heat", read)
    assert before[0] != before[1]
    box = tab.page.locator(".pair-frame").first.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8)
    tab.page.wait_for_selector(".cursor", state="attached")
    after = tab.page.eval_on_selector_all("canvas.heat", read)
    assert after[0] == before[0]
    assert after[1] != before[1]
    tab.shot("heat")


def test_with_a_box_the_lines_stay_inside_it(tab: Tab) -> None:
    tab.open()
    tab.search(17)
    tab.page.goto(tab.page.url + "&region=0.5,0.5,0.5,0.5")
    tab.page.wait_for_selector("li.tile img.there")
    tab.page.locator("li.tile > a").first.click()
    tab.page.wait_for_selector(".match", state="attached")
    box = tab.page.locator(".pair-region").bounding_box()
    starts = tab.page.eval_on_selector_all(
        ".match circle:nth-of-type(odd)", "l => l.map(c => c.getBoundingClientRect().x)"
    )
    assert all(x >= box["x"] - 6 for x in starts)


def test_from_hit_to_hit(tab: Tab) -> None:
    _open_first_hit(tab, 17)
    first = tab.page.inner_text("dialog h2")
    tab.page.keyboard.press("ArrowRight")
    tab.until(f"document.querySelector('dialog h2').textContent !== '{first}'")
    # What is merely similar does not light up as if it matched.
    tab.until("document.querySelector('.evidence')?.textContent.includes('no matching points')")
    assert tab.page.locator("dialog >> text=Heat map").is_hidden()
    tab.page.click("[aria-label='Previous image']")
    tab.until(f"document.querySelector('dialog h2').textContent === '{first}'")
    tab.page.keyboard.press("Escape")
    tab.until("!document.querySelector('dialog')")
    assert "show=" not in tab.page.url


def test_an_image_alone_leads_to_a_search(tab: Tab) -> None:
    tab.open()
    tab.images().nth(2).locator("a").click()
    tab.page.wait_for_selector(".single")
    name = tab.page.inner_text("dialog h2")
    tab.page.click("dialog >> text=Search with this")
    tab.page.wait_for_selector(".search .mark.matching")
    assert tab.names()[0].startswith(name)


def test_an_image_alone_is_enlarged_and_swiped(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(size=(390, 844), has_touch=True)
    page = tab.page
    tab.open()
    tab.images().nth(2).locator("a").click()
    page.wait_for_selector(".single .layer")
    tab.until("document.querySelector('.single .layer').naturalWidth")
    width = page.locator(".single .layer").bounding_box()["width"]
    assert width <= 390
    box = page.locator(".single").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.wheel(0, -500)
    tab.until("document.querySelector('.single.zoomed')")
    assert page.locator(".single .layer").bounding_box()["width"] > 2 * width
    page.keyboard.press("0")
    tab.until("!document.querySelector('.single.zoomed')")
    first = page.inner_text("dialog h2")
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] + 205, steps=4)
    page.mouse.up()
    tab.until(f"document.querySelector('dialog h2').textContent !== '{first}'")


def test_lines_end_in_the_same_points_of_enlarged_images(tab: Tab) -> None:
    _open_first_hit(tab, 17)
    page = tab.page
    query, hit = page.locator(".pair-frame").all()
    box = query.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -500)
    tab.until("document.querySelectorAll('.pair-frame.zoomed').length === 2")
    images = "l => l.map(i => i.getBoundingClientRect().width)"
    wide = page.eval_on_selector_all(".pair-frame img", images)
    assert wide[0] > 2 * box["width"]
    assert abs(wide[0] / wide[1] - box["width"] / hit.bounding_box()["width"]) < 0.02
    boxes = [box, hit.bounding_box()]
    ends = page.eval_on_selector_all(
        ".match circle",
        "l => l.map(c => { const b = c.getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2]; })",
    )
    assert ends
    for at, (x, y) in enumerate(ends):
        room = boxes[at % 2]
        assert room["x"] - 2 <= x <= room["x"] + room["width"] + 2
        assert room["y"] - 2 <= y <= room["y"] + room["height"] + 2
    tab.shot("explanation-enlarged")
