"""The Map screen in a real browser: what a person does on the canvas, what travels, links, live runs, saved files."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dans_app.shared import theme
from dans_core import KnowledgeGraph
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.browser.conftest import Server, workers
from tests.browser.server import processes

pytestmark = pytest.mark.browser

HOSTILE = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
LONG = tuple(range(0, 100, 5))
GLIDE = 450
"""Milliseconds in which the points have come to rest."""

PCA = "relation=embassy&projection=pca"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with a run of three snapshots and one of twenty."""
    folder = tmp_path_factory.mktemp("map") / "runs"
    folder.mkdir()
    nations = KnowledgeGraph.load("nations")
    small_run.drawn(folder, nations, "nations", "small", epochs=(0, 5, 10))
    small_run.drawn(folder, nations, "nations", "long", epochs=LONG)
    started = Server(folder)
    yield started
    started.stop()
    for process in workers(folder):
        os.kill(process, 9)


@pytest.fixture
def frames(page) -> list[str]:
    """What the browser has sent to the server over its socket up to now."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(str(data)[:80])))
    return sent


def canvas(page):
    """The map, drawn."""
    found = page.locator(".map canvas.canvas[aria-label]").first
    found.wait_for()
    return found


def at_rest(page) -> None:
    """Wait until the app has run and nothing is on its way."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(300)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def told(page) -> str:
    """What the map says of itself."""
    return canvas(page).get_attribute("aria-label")


def epoch(page) -> int:
    return int(re.search(r"at epoch ([\d,]+)", told(page))[1].replace(",", ""))


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


def is_calm(page) -> None:
    """No error box, no stray element of a name."""
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("img[src=x]").count() == 0


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_a_deep_link_to_a_fresh_server_shows_pca_then_umap_and_no_one_there_means_no_work(
    runs: Path, serve, browser
):
    nations = KnowledgeGraph.load("nations")
    small_run.drawn(runs, nations, "nations", "done", epochs=(0, 5, 10))
    live = small_run.drawn(runs, nations, "nations", "live", epochs=())
    server = serve()
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/map?run=done&relation=embassy")
    assert "Map of embassy at epoch 10, PCA in two dimensions: 14 true answers" in told(page)
    assert page.get_by_role("heading", name="Map").is_visible() and page.title() == "Map · DANS Lab"
    assert page.get_by_role("link", name="Triplet").is_visible()
    page.get_by_text("UMAP of all entities and fakes of 3 snapshots together").wait_for()
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
        page.get_by_text("While a run trains, UMAP fits the epoch shown").wait_for()
        assert page.get_by_text("UMAP of epoch 2 alone").is_visible()
        at_rest(page)
        context.close()
        time.sleep(1)
        for number in (3, 4, 5):
            small_run.add_snapshot(writer, nations, number)
            time.sleep(0.8)
        busy = used(server, runs)
        time.sleep(1.5)
        assert len(made()) == 2, "pictures were made for no one"
        assert used(server, runs) - busy < 0.5, "the server worked for no one"
    assert "Traceback" not in server.log()


def used(server: Server, runs: Path) -> float:
    """Seconds of processor time that the server and its process for projections have taken."""
    total = 0.0
    for process in (server.pid, *processes("dans_app.server.projection", runs)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / 100
    return total


def test_layers_toggle_at_once_and_land_in_the_url_at_rest(server, page, frames):
    page.goto(f"{server.url}/map?run=small&{PCA}")
    assert pixels(page, theme.G_R.color) and pixels(page, theme.G_E.color)
    at_rest(page)
    frames.clear()
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
    assert len(frames) == 1, "three clicks are told once, at rest"
    assert not pixels(page, theme.G_R.color) and pixels(page, theme.G_E.color)
    for name in ("G_R fakes", "All else", "Random"):
        assert chip(page, name).get_attribute("aria-pressed") == "false"
    page.reload()
    canvas(page)
    assert not pixels(page, theme.G_R.color) and chip(page, "Random").get_attribute("aria-pressed") == "false"
    # Places do not depend on what is shown.
    before = pixels(page, theme.G_E.color)
    chip(page, "True answers").click()
    assert set(before) <= set(pixels(page, theme.G_E.color))
    is_calm(page)


def test_hover_names_a_click_and_a_lasso_select_and_a_search_rings(server, page):
    names = KnowledgeGraph.load("nations").entities
    page.goto(f"{server.url}/map?run=small&{PCA}&layers=G_E,true")
    x, y = pixels(page, theme.G_E.color)[10]
    page.mouse.move(x, y)
    said = lines(page)
    head = re.search(r"Fake from G_E for \((\w+), embassy\)", said)[1]
    assert head in names and re.search(r"nearest entity (\w+)", said)[1] in names and "score" in said

    page.mouse.click(x, y)
    page.get_by_text("1 point selected").wait_for()
    page.get_by_text("What you selected").wait_for()
    page.get_by_text("Nearest in all dimensions").wait_for()
    assert page.get_by_text(f"the fake of G_E for {head}, by cosine").is_visible()
    page.wait_for_url(re.compile(r"selection=G_E%3A\d+$"))
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    assert head in table.inner_text() or table.locator("canvas").count()

    page.get_by_role("button", name="Draw around points").click()
    box = canvas(page).bounding_box()
    corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4)]
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    for left, top in (*corners[1:], corners[0]):
        page.mouse.move(box["x"] + left, box["y"] + top, steps=3)
    page.mouse.up()
    page.get_by_text("28 points selected").wait_for()
    page.get_by_text("28 points, epoch 10").wait_for()

    page.get_by_role("button", name="Select nothing").click()
    page.get_by_text("What you selected").wait_for(state="detached")
    assert "selection" not in page.url

    assert not pixels(page, theme.D_ADV.color)
    page.get_by_role("textbox", name="Find entities").fill("/^(us|uk)/")
    page.keyboard.press("Enter")
    wait_for(lambda: bool(pixels(page, theme.D_ADV.color)))
    page.wait_for_url(re.compile("find="))
    page.get_by_role("textbox", name="Find entities").fill("/(/")
    page.keyboard.press("Enter")
    page.get_by_text("is not a regular expression").wait_for()
    assert not pixels(page, theme.D_ADV.color)
    is_calm(page)


def test_scrubbing_and_playing_are_the_browsers_alone(server, page, frames):
    page.goto(f"{server.url}/map?run=long&{PCA}&epoch=0")
    canvas(page)
    at_rest(page)
    frames.clear()
    slider = page.locator(".map .epochs")
    slider.focus()
    seen = [epoch(page)]
    pictures = {picture(page)}
    for _ in LONG[1:]:
        slider.press("ArrowRight")
        seen.append(epoch(page))
        pictures.add(picture(page))
    assert tuple(seen) == LONG and len(pictures) >= len(LONG) - 1
    assert not frames, "a step of the slider asked the server"
    page.wait_for_url(lambda url: "epoch" not in url)
    assert len(frames) <= 2

    page.goto(f"{server.url}/map?run=long&{PCA}&epoch=80")
    canvas(page)
    at_rest(page)
    frames.clear()
    page.get_by_role("button", name="Play").click()
    wait_for(lambda: epoch(page) == 85)
    # A layer can be hidden while the points move.
    box = chip(page, "Random").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 8)
    page.mouse.down()
    page.wait_for_timeout(150)
    page.mouse.up()
    assert chip(page, "Random").get_attribute("aria-pressed") == "false"
    wait_for(lambda: epoch(page) == 95)
    assert not frames
    page.get_by_role("button", name="Play").wait_for()
    page.wait_for_url(lambda url: "epoch" not in url and "layers=" in url)
    is_calm(page)


def test_zoom_and_selection_survive_the_ticks_of_a_live_run(server, page):
    nations = KnowledgeGraph.load("nations")
    run = small_run.drawn(server.runs, nations, "nations", "live", epochs=())
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running")
        page.goto(f"{server.url}/map?run=live&{PCA}")
        page.get_by_text("No snapshot yet").wait_for()
        small_run.add_snapshot(writer, nations, 1)
        root = page.locator(".map")
        x, y = (canvas(page), pixels(page, theme.G_E.color)[0])[1]
        page.mouse.click(x, y)
        page.get_by_text("1 point selected").wait_for()
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
        page.get_by_text("PCA of all entities and fakes of 3 snapshots together").wait_for()
        assert root.get_attribute("data-zoom") == zoom
        assert page.get_by_text("1 point selected").is_visible()
        assert page.get_by_text("following the run").is_visible()

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
        page.wait_for_timeout(2_500)
        assert page.get_by_text("of 4 snapshots together").first.is_visible()
        writer.write_status("finished", epoch=10)
    is_calm(page)


def test_a_copied_link_opens_the_same_view_elsewhere(server, page, browser):
    page.goto(f"{server.url}/map?run=small&{PCA}&layers=G_E,true")
    canvas(page)
    page.locator(".map .epochs").press("ArrowLeft")
    page.wait_for_timeout(GLIDE)
    x, y = pixels(page, theme.G_E.color)[0]
    page.mouse.click(x, y)
    page.get_by_text("What you selected").wait_for()
    choose(page, "Relation", "treaties")
    wait_for(lambda: "Map of treaties" in told(page))
    # A fake of one relation is no point of another.
    page.wait_for_url(lambda url: "relation=treaties" in url and "selection" not in url)
    page.get_by_text("What you selected").wait_for(state="detached")
    choose(page, "Colour by", "Hardness")
    page.wait_for_url(re.compile("colour=hardness"))
    page.mouse.click(*pixels(page, theme.POSITIVE.color)[0])
    chip(page, "G_R fakes").click()
    page.wait_for_url(re.compile("layers=true%2CG_E%2CG_R.*selection=e%3A"))
    at_rest(page)
    page.mouse.move(5, 5)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    other = context.new_page()
    other.goto(page.url)
    canvas(other)
    at_rest(other)
    assert told(other) == told(page) and "Map of treaties at epoch 5" in told(other)
    assert other.url == page.url
    assert other.locator(".map .hint").inner_text() == page.locator(".map .hint").inner_text()
    assert other.locator(".map .scale").inner_text() == page.locator(".map .scale").inner_text()
    assert picture(other) == picture(page)
    context.close()


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
        assert picture(page) != before
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
    page.get_by_text("1 point selected").wait_for()
    page.get_by_text("What you selected").wait_for()
    page.keyboard.press("+")
    assert page.locator(".map").get_attribute("data-zoom") != "0 0 1"
    page.keyboard.press("0")
    assert page.locator(".map").get_attribute("data-zoom") == "0 0 1"
    page.keyboard.press("Escape")
    page.get_by_text("What you selected").wait_for(state="detached")
    page.keyboard.press(" ")
    assert "Pause" in page.locator(".map .play").inner_text() and epoch(page) == 0
    page.keyboard.press(" ")
    assert "Play" in page.locator(".map .play").inner_text()
    focused = chip(page, "Random")
    focused.focus()
    page.keyboard.press(" ")
    assert focused.get_attribute("aria-pressed") == "true" and "Random" in page.evaluate(ACTIVE)


def test_a_phone_shows_the_map_without_scrolling_sideways(server, browser):
    context = browser.new_context(viewport={"width": 400, "height": 850}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/map?run=small&{PCA}")
    box = canvas(page).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 400
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    canvas(page).scroll_into_view_if_needed()
    x, y = pixels(page, theme.G_E.color)[0]
    page.touchscreen.tap(x, y)
    assert "G_E" in lines(page)
    tip = page.locator(".map .tip").bounding_box()
    assert tip["x"] >= 0 and tip["x"] + tip["width"] <= 400
    page.get_by_text("What you selected").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    context.close()


def test_the_map_is_saved_as_a_picture_and_as_a_page(server, page, browser, tmp_path: Path):
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
    context = browser.new_context()
    saved = context.new_page()
    problems: list[str] = []
    saved.on("pageerror", lambda error: problems.append(str(error)))
    saved.on(
        "request", lambda request: None if request.url == file.as_uri() else problems.append(request.url)
    )
    saved.goto(file.as_uri())
    assert epoch(saved) == 40 and pixels(saved, theme.G_E.color)
    saved.locator(".map .epochs").press("ArrowRight")
    assert epoch(saved) == 45
    saved.wait_for_timeout(GLIDE)
    saved.mouse.move(*pixels(saved, theme.G_E.color)[0])
    assert "G_E" in lines(saved)
    saved.wait_for_timeout(700)
    assert not problems
    context.close()
