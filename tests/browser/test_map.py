"""The Map screen in a real browser: what a person does on the canvas, what travels, links, live runs, saved files."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dans_app.shared import theme
from dans_core import KnowledgeGraph
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.browser.server import Server, processes
from tests.browser.states import at_rest, fits, inside, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

HOSTILE = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
LONG = tuple(range(0, 100, 5))
PCA = "relation=embassy&projection=pca"


@pytest.fixture
def page(moving_page):
    return moving_page


@pytest.fixture
def server(server: Server) -> Server:
    """The server with a run of three snapshots and one of twenty."""
    nations = KnowledgeGraph.load("nations")
    small_run.drawn(server.runs, nations, "nations", "small", epochs=(0, 5, 10))
    small_run.drawn(server.runs, nations, "nations", "long", epochs=LONG)
    return server


def canvas(page):
    """The map, drawn."""
    found = page.locator(".map canvas.canvas[aria-label]").first
    found.wait_for()
    return found


def told(page) -> str:
    """What the map says of itself."""
    return canvas(page).get_attribute("aria-label")


def epoch(page) -> int:
    return epoch_in(told(page))


def epoch_in(label: str) -> int:
    return int(re.search(r"at epoch ([\d,]+)", label)[1].replace(",", ""))


def sent(page) -> int:
    """How often the browser has asked the server for something."""
    return page.evaluate("window.appSocket.sent")


def pixels(page, color: str) -> list[tuple[float, float]]:
    """Where on the page the canvas has this colour, or nearly."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    found = canvas(page).evaluate(
        """(canvas, rgb) => {
          const { width, height } = canvas
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height)
          const found = []
          for (let y = 0; y < height; y += 2)
            for (let x = 0; x < width; x += 2) {
              const at = 4 * (y * width + x)
              if (data[at + 3] > 200 && rgb.every((c, i) => Math.abs(data[at + i] - c) < 30)) found.push([x, y])
            }
          const box = canvas.getBoundingClientRect()
          return found.map(([x, y]) => [box.x + x / devicePixelRatio, box.y + y / devicePixelRatio])
        }""",
        rgb,
    )
    return [tuple(each) for each in found]


def picture(page) -> str:
    """All that is drawn, to be compared."""
    return canvas(page).evaluate("canvas => canvas.toDataURL()")


def chip(page, name: str):
    return page.locator(".map .chip", has_text=name)


def lines(page) -> str:
    """What stands under the pointer."""
    tip = page.locator(".map .tip")
    tip.wait_for()
    return tip.inner_text()


def test_pca_is_there_first_then_umap_and_no_one_there_means_no_work(server: Server, open_page):
    nations, runs = KnowledgeGraph.load("nations"), server.runs
    live = small_run.drawn(runs, nations, "nations", "live", epochs=())
    page = open_page(reduced_motion="no-preference")
    page.goto(f"{server.url}/map?run=small&relation=embassy")
    assert "Map of embassy at epoch 10, PCA in two dimensions: 14 true answers" in told(page)
    page.get_by_text("UMAP of all entities and fakes of 3 snapshots together").first.wait_for()
    wait_for(lambda: "UMAP in two dimensions" in told(page))
    is_calm(page)

    def made() -> set[str]:
        return {file.name for file in (runs / ".cache" / "projections").glob("live-*/*.npz")}

    with RunWriter.reopen(live.path) as writer:
        small_run.add_snapshot(writer, nations, 1)
        writer.write_status("running", epoch=1)
        page.goto(f"{server.url}/map?run=live&relation=embassy")
        wait_for(lambda: len(made()) == 1)
        small_run.add_snapshot(writer, nations, 2)
        wait_for(lambda: len(made()) == 2)
        page.get_by_text("While a run trains, UMAP fits the epoch shown").first.wait_for()
        assert page.get_by_text("UMAP of epoch 2 alone").is_visible()
        at_rest(page)
        page.close()
        wait_for(lambda: is_idle(server, runs), "that the server rests")
        before = used(server, runs)
        for number in (3, 4, 5):
            small_run.add_snapshot(writer, nations, number)
            # As long as the page would take to see it.
            time.sleep(2)
        assert len(made()) == 2, "pictures were made for no one"
        assert used(server, runs) - before < 0.5, "the server worked for no one"
    assert "Traceback" not in server.log()


def is_idle(server: Server, runs: Path) -> bool:
    """Whether the server and its process for projections do nothing for a second."""
    before = used(server, runs)
    time.sleep(1)
    return used(server, runs) - before < 0.05


def used(server: Server, runs: Path) -> float:
    """Seconds of processor time that the server and its process for projections have taken."""
    total = 0.0
    for process in (server.pid, *processes("dans_app.server.fitting", runs)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / 100
    return total


def test_layers_toggle_at_once_and_land_in_the_url_at_rest(server, page):
    page.goto(f"{server.url}/map?run=small&{PCA}")
    canvas(page)
    at_rest(page)
    assert pixels(page, theme.G_R.color) and pixels(page, theme.G_E.color)
    before = sent(page)
    hidden = ["G_R", "others", "random"]
    # In one go, so that nothing comes between the clicks and what is said right after them.
    said = page.locator(".map").evaluate(
        """(map, hidden) => {
          for (const layer of hidden) map.querySelector(`[data-layer="${layer}"]`).click()
          return map.querySelector("canvas.canvas").getAttribute("aria-label")
        }""",
        hidden,
    )
    assert "fakes of G_E" in said and "fakes of G_R" not in said
    page.wait_for_url(re.compile("layers=true%2CG_E$"))
    at_rest(page)
    assert sent(page) == before + 1, "three clicks are told once, at rest"
    assert not pixels(page, theme.G_R.color) and pixels(page, theme.G_E.color)
    for name in ("G_R fakes", "All else", "Random"):
        assert chip(page, name).get_attribute("aria-pressed") == "false"
    page.reload()
    canvas(page)
    at_rest(page)
    assert not pixels(page, theme.G_R.color) and chip(page, "Random").get_attribute("aria-pressed") == "false"
    # Places do not depend on what is shown.
    before = pixels(page, theme.G_E.color)
    chip(page, "True answers").click()
    assert set(before) <= set(pixels(page, theme.G_E.color))
    is_calm(page)


def test_hover_names_a_click_and_a_lasso_select_and_a_search_rings(server, page):
    names = KnowledgeGraph.load("nations").entities
    page.goto(f"{server.url}/map?run=small&{PCA}&layers=G_E,true")
    canvas(page)
    at_rest(page)
    x, y = pixels(page, theme.G_E.color)[10]
    page.mouse.move(x, y)
    said = lines(page)
    head = re.search(r"Fake from G_E for \((\w+), embassy\)", said)[1]
    assert head in names and re.search(r"nearest entity (\w+)", said)[1] in names and "score" in said

    page.mouse.click(x, y)
    page.get_by_text("1 point selected").first.wait_for()
    page.get_by_text("What you selected").first.wait_for()
    page.get_by_text("Nearest in all dimensions").first.wait_for()
    page.get_by_text(f"the fake of G_E for {head}, by cosine").first.wait_for()
    page.wait_for_url(re.compile(r"selection=G_E%3A\d+$"))
    table = page.get_by_test_id("stDataFrame").first
    table.locator("canvas").first.wait_for()

    page.get_by_role("button", name="Draw around points").click()
    at_rest(page)
    box = canvas(page).bounding_box()
    corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4)]
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    for left, top in (*corners[1:], corners[0]):
        page.mouse.move(box["x"] + left, box["y"] + top, steps=3)
    page.mouse.up()
    page.get_by_text("28 points selected").first.wait_for()
    page.get_by_text("28 points, epoch 10").first.wait_for()

    page.get_by_role("button", name="Select nothing").click()
    expect(page.get_by_text("What you selected")).to_have_count(0)
    page.wait_for_url(lambda url: "selection" not in url)

    assert not pixels(page, theme.D_ADV.color)
    page.get_by_role("textbox", name="Find entities").fill("/^(us|uk)/")
    page.keyboard.press("Enter")
    wait_for(lambda: bool(pixels(page, theme.D_ADV.color)))
    page.wait_for_url(re.compile("find="))
    page.get_by_role("textbox", name="Find entities").fill("/(/")
    page.keyboard.press("Enter")
    page.get_by_text("is not a regular expression").first.wait_for()
    wait_for(lambda: not pixels(page, theme.D_ADV.color))
    is_calm(page)


def test_scrubbing_and_playing_are_the_browsers_alone(server, page):
    page.goto(f"{server.url}/map?run=long&{PCA}&epoch=0")
    canvas(page)
    at_rest(page)
    before = sent(page)
    # In one go, so that the map is not at rest between two steps, however slow the machine.
    seen = page.locator(".map").evaluate(
        """(map, steps) => {
          const canvas = map.querySelector("canvas.canvas")
          const slider = map.querySelector(".epochs")
          const look = () => [canvas.getAttribute("aria-label"), canvas.toDataURL()]
          const seen = [look()]
          for (let step = 0; step < steps; step++) {
            slider.stepUp()
            slider.dispatchEvent(new Event("input"))
            seen.push(look())
          }
          return [...seen, window.appSocket.sent]
        }""",
        len(LONG) - 1,
    )
    assert seen.pop() == before, "a step of the slider asked the server"
    assert tuple(epoch_in(label) for label, _ in seen) == LONG
    assert len({drawn for _, drawn in seen}) >= len(LONG) - 1
    page.wait_for_url(lambda url: "epoch" not in url)
    at_rest(page)
    assert sent(page) <= before + 2

    page.goto(f"{server.url}/map?run=long&{PCA}&epoch=80")
    canvas(page)
    at_rest(page)
    before = sent(page)
    box = chip(page, "Random").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 8)
    # The browser looks, since by the time a busy machine has answered the map may be at rest again.
    at_the_end = canvas(page).evaluate_handle(
        """canvas => ({ sent: new Promise(done => {
          const look = () => canvas.getAttribute("aria-label").includes("at epoch 95,")
            ? done(window.appSocket.sent) : requestAnimationFrame(look)
          look()
        }) })"""
    )
    page.locator(".map .play").press("Enter")
    # A layer can be hidden while the points move.
    wait_for(lambda: epoch(page) >= 85)
    page.mouse.down()
    page.wait_for_timeout(150)
    page.mouse.up()
    expect(chip(page, "Random")).to_have_attribute("aria-pressed", "false")
    assert at_the_end.evaluate("found => found.sent") == before, "playing asked the server"
    page.get_by_role("button", name="Play").first.wait_for()
    page.wait_for_url(lambda url: "epoch" not in url and "layers=" in url)
    is_calm(page)


def test_zoom_and_selection_survive_the_ticks_of_a_live_run(server, page):
    nations = KnowledgeGraph.load("nations")
    run = small_run.drawn(server.runs, nations, "nations", "live", epochs=())
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running")
        page.goto(f"{server.url}/map?run=live&{PCA}")
        page.get_by_text("No snapshot yet").first.wait_for()
        small_run.add_snapshot(writer, nations, 1)
        root = page.locator(".map")
        canvas(page)
        at_rest(page)
        x, y = pixels(page, theme.G_E.color)[0]
        page.mouse.click(x, y)
        page.get_by_text("1 point selected").first.wait_for()
        page.get_by_role("button", name="Zoom in").click()
        page.keyboard.down("Control")
        page.mouse.move(x, y)
        page.mouse.wheel(0, -120)
        page.keyboard.up("Control")
        zoom = root.get_attribute("data-zoom")
        assert zoom != "0 0 1"
        page.wait_for_url(re.compile("selection="))
        for number in (2, 3):
            small_run.add_snapshot(writer, nations, number)
            wait_for(lambda number=number: epoch(page) == number)
        page.get_by_text("PCA of all entities and fakes of 3 snapshots together").first.wait_for()
        assert root.get_attribute("data-zoom") == zoom
        page.get_by_text("1 point selected").first.wait_for()
        page.get_by_text("following the run").first.wait_for()

        page.locator(".map .epochs").press("ArrowLeft")
        page.wait_for_url(re.compile("epoch=2"))
        small_run.add_snapshot(writer, nations, 4)
        page.get_by_text("of 4 snapshots together").first.wait_for()
        at_rest(page)
        assert epoch(page) == 2 and "epoch=2" in page.url and root.get_attribute("data-zoom") == zoom

        # Frozen, what is new waits.
        page.get_by_text("Freeze").click()
        at_rest(page)
        small_run.add_snapshot(writer, nations, 5)
        # Longer than a tick, in which it would see more.
        page.wait_for_timeout(2_500)
        assert page.get_by_text("of 4 snapshots together").first.is_visible()
        writer.write_status("finished", epoch=10)
    is_calm(page)


def test_a_copied_link_opens_the_same_view_elsewhere(server, page, open_page):
    page.goto(f"{server.url}/map?run=small&{PCA}&layers=G_E,true")
    canvas(page)
    at_rest(page)
    page.locator(".map .epochs").press("ArrowLeft")
    at_rest(page)
    x, y = pixels(page, theme.G_E.color)[0]
    page.mouse.click(x, y)
    page.get_by_text("What you selected").first.wait_for()
    choose(page, "Relation", "treaties")
    wait_for(lambda: "Map of treaties" in told(page))
    # A fake of one relation is no point of another.
    page.wait_for_url(lambda url: "relation=treaties" in url and "selection" not in url)
    expect(page.get_by_text("What you selected")).to_have_count(0)
    choose(page, "Colour by", "Hardness")
    page.wait_for_url(re.compile("colour=hardness"))
    at_rest(page)
    page.mouse.click(*pixels(page, theme.POSITIVE.color)[0])
    chip(page, "G_R fakes").click()
    page.wait_for_url(re.compile("layers=true%2CG_E%2CG_R.*selection=e%3A"))
    at_rest(page)
    page.mouse.move(5, 5)
    other = open_page(reduced_motion="no-preference")
    other.goto(page.url)
    canvas(other)
    at_rest(other)
    assert told(other) == told(page) and "Map of treaties at epoch 5" in told(other)
    assert other.url == page.url
    assert other.locator(".map .hint").inner_text() == page.locator(".map .hint").inner_text()
    assert other.locator(".map .scale").inner_text() == page.locator(".map .scale").inner_text()
    assert picture(other) == picture(page)


def choose(page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(label)).fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def test_hostile_links_get_one_sentence_and_a_working_map(server, page):
    page.on("dialog", lambda dialog: pytest.fail("a script of the URL ran"))
    for address, said in (
        ("run=nothing-here&projection=pca", "There is no run “nothing-here”"),
        (f"run={HOSTILE}&projection=pca", "not the name of a run"),
        (f"run=small&{PCA}&epoch=1000000000", "has no snapshot of epoch"),
        (
            f"run=small&relation={HOSTILE}&epoch=-5&layers={HOSTILE}&projection=pca&find={HOSTILE}",
            "no relation",
        ),
        (
            f"run=small&{PCA}&selection={HOSTILE},e:99999999999,e:{'9' * 500}&find=/({'a' * 3000}/",
            "A search has",
        ),
    ):
        page.goto(f"{server.url}/map?{address}")
        canvas(page)
        at_rest(page)
        alerts = page.locator("[data-testid=stAlert]")
        assert alerts.count() == 1 and said in alerts.inner_text(), address
        before = picture(page)
        chip(page, "True answers").click()
        wait_for(lambda before=before: picture(page) != before)
        is_calm(page)
    assert "Traceback" not in server.log()


ACTIVE = """() => {
  let here = document.activeElement
  while (here?.shadowRoot?.activeElement) here = here.shadowRoot.activeElement
  return here.getAttribute("aria-label") || here.textContent || here.tagName
}"""


def test_everything_is_reached_and_done_by_keyboard(server, page):
    page.goto(f"{server.url}/map?run=small&{PCA}&layers=G_E,true")
    canvas(page)
    at_rest(page)
    reached = []
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(ACTIVE))
    whole = "\n".join(reached)
    for name in (
        "Relation", "UMAP", "Colour by", "Find entities", "D_adv’s field", "True answers", "All else", "Map of embassy",
        "Play", "Epoch", "Draw around points", "Zoom in", "Zoom out", "The whole picture", "Save this picture",
        "The negatives as a table", "This map as a page",
    ):  # fmt: skip
        assert name in whole, name

    canvas(page).focus()
    page.keyboard.press("ArrowLeft")
    assert epoch(page) == 5
    page.keyboard.press("ArrowRight")
    assert epoch(page) == 10
    page.keyboard.press("ArrowDown")
    first = lines(page)
    page.keyboard.press("ArrowDown")
    assert lines(page) != first
    assert page.locator(".map .unseen").inner_text().split(",")[0] in lines(page)
    page.keyboard.press("ArrowUp")
    assert lines(page) == first
    page.keyboard.press("Enter")
    page.get_by_text("1 point selected").first.wait_for()
    page.get_by_text("What you selected").first.wait_for()
    page.keyboard.press("+")
    assert page.locator(".map").get_attribute("data-zoom") != "0 0 1"
    page.keyboard.press("0")
    assert page.locator(".map").get_attribute("data-zoom") == "0 0 1"
    page.keyboard.press("Escape")
    expect(page.get_by_text("What you selected")).to_have_count(0)
    page.keyboard.press(" ")
    assert "Pause" in page.locator(".map .play").inner_text() and epoch(page) == 0
    page.keyboard.press(" ")
    assert "Play" in page.locator(".map .play").inner_text()
    focused = chip(page, "Random")
    focused.focus()
    page.keyboard.press(" ")
    assert focused.get_attribute("aria-pressed") == "true" and "Random" in page.evaluate(ACTIVE)


def test_a_phone_shows_the_map_without_scrolling_sideways(server, open_page):
    page = open_page(viewport={"width": 400, "height": 850}, has_touch=True, is_mobile=True)
    page.goto(f"{server.url}/map?run=small&{PCA}")
    canvas(page)
    at_rest(page)
    inside(canvas(page))
    fits(page)
    canvas(page).scroll_into_view_if_needed()
    x, y = pixels(page, theme.G_E.color)[0]
    page.touchscreen.tap(x, y)
    assert "G_E" in lines(page)
    inside(page.locator(".map .tip"))
    page.get_by_text("What you selected").first.wait_for()
    fits(page)


def test_the_map_is_saved_as_a_picture_and_as_a_page(server, page, open_page, tmp_path: Path):
    page.goto(f"{server.url}/map?run=long&{PCA}&epoch=40")
    canvas(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this picture").click()
    assert download.value.suggested_filename == "map-long-40.png"
    shown = page.evaluate(
        """async (text) => {
          const image = new Image()
          image.src = "data:image/png;base64," + text
          await image.decode()
          const canvas = new OffscreenCanvas(image.width, image.height)
          const pen = canvas.getContext("2d")
          pen.drawImage(image, 0, 0)
          const { data } = pen.getImageData(0, 0, image.width, image.height)
          const colours = new Set()
          for (let i = 0; i < data.length; i += 4) colours.add(data.slice(i, i + 4).join(","))
          return { width: image.width, colours: colours.size }
        }""",
        base64.b64encode(Path(download.value.path()).read_bytes()).decode(),
    )
    assert shown["width"] > 1000 and shown["colours"] > 50

    with page.expect_download() as download:
        page.get_by_role("button", name="This map as a page").click()
    assert download.value.suggested_filename.endswith(".html")
    file = tmp_path / "map.html"
    download.value.save_as(file)
    saved = open_page(reduced_motion="no-preference")
    problems: list[str] = []
    saved.on(
        "request", lambda request: None if request.url == file.as_uri() else problems.append(request.url)
    )
    saved.goto(file.as_uri())
    assert epoch(saved) == 40 and pixels(saved, theme.G_E.color)
    saved.locator(".map .epochs").press("ArrowRight")
    assert epoch(saved) == 45
    saved.locator(".map:not([data-moving])").wait_for()
    saved.mouse.move(*pixels(saved, theme.G_E.color)[0])
    assert "G_E" in lines(saved)
    # By then it would have told a server.
    saved.locator(".map:not([data-telling])").wait_for()
    assert not problems
