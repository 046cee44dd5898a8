"""A server that is killed under those who look on: whether their pages come back by themselves, and how soon."""

from __future__ import annotations

import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from benchmarks import soak_shared
from tests.browser.server import ARGUMENTS, WITHOUT_WINDOWS, Server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.async_api import Page

SCREENS = {
    "": ".curves svg.plot path.line",
    "diagnostics": ".js-plotly-plot .scatterlayer path",
    "map": ".map canvas[aria-label]",
    "triplet": ".js-plotly-plot .points path",
}
"""What they look at, and what each of these shows once it is drawn; the first one moves with the run."""

PRESSED = {"triplet": "Draw again"}
"""What is pressed on a screen that stands as it is until somebody does something."""

RUN = "watched"

PATIENCE = 120.0
"""Seconds after which a page counts as lost."""

_LOOK = 200
"""Milliseconds between two looks at a page: one at each frame, as is usual, is work for the machine that is tested."""

_ANSWERED = """(() => {
  const Plain = window.WebSocket
  window.answered = []
  window.connected = 0
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given)
      let whole = false
      this.addEventListener("open", () => window.connected++)
      this.addEventListener("message", ({ data }) => {
        const bytes = new Uint8Array(data)
        // How the server says that the script no longer runs.
        const ended = bytes[0] === 0x4a && bytes.length <= 6 && bytes[bytes.length - 1] === 0
        if (ended && !whole) window.answered.push(Date.now() / 1000)
        whole ||= ended
      })
    }
  }
})()"""
"""Counts connections, and notes when the first answer of each was whole."""

_CHOSEN = """[...document.querySelectorAll("[data-testid=stSelectbox]")].find(
  (box) => box.querySelector("label")?.textContent.trim() === "Run"
)?.querySelector("input").value"""
"""The run that is chosen; Train has other lists beside it, which may be drawn first."""

_SHOWN = f"""() => [
  {_CHOSEN} ?? "",
  document.querySelector("svg.plot")?.getAttribute("aria-label") ?? "",
]"""
"""The run that is chosen, and what its first curve says."""


@dataclass
class Returns:
    """Seconds from the start of the new server until it answered, and until each page was whole; what went wrong."""

    answers: float = 0.0
    back: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def measure(server: Server, viewers: int, away: float) -> Returns:
    """Kill this server while so many browsers look at a run that trains, and start it again `away` seconds later.

    RuntimeError without a Chromium.
    """
    settings = ("--dataset", "nations", "--sampler", "uniform", "--set", "dim=16", "--epochs", "100000")
    # Browsers have an event loop of their own.
    with soak_shared.training(server.runs, RUN, *settings) as trains, ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, _watched(server, trains, viewers, away)).result()


async def _watched(server: Server, trains: subprocess.Popen[bytes], viewers: int, away: float) -> Returns:
    from playwright.async_api import async_playwright

    if WITHOUT_WINDOWS is None:
        raise RuntimeError("no Chromium found; on Debian: apt-get install chromium-headless-shell")
    found = Returns()
    async with async_playwright() as play:
        chromium = await play.chromium.launch(executable_path=WITHOUT_WINDOWS, args=ARGUMENTS)
        wait_for(
            lambda: soak_shared.moves(server.runs, RUN, trains), "the first epoch of a run that is watched"
        )
        pages = []
        for number in range(viewers):
            context = await chromium.new_context(
                viewport={"width": 1400, "height": 1000}, extra_http_headers=soak_shared.WHO
            )
            context.set_default_timeout(1000 * PATIENCE)
            await context.add_init_script(_ANSWERED)
            page = await context.new_page()
            page.on("pageerror", lambda error: found.errors.append(f"a script of the page: {error}"[:200]))
            screen = list(SCREENS)[number % len(SCREENS)]
            await page.goto(f"{server.url}/{screen}?run={RUN}", wait_until="commit")
            pages.append(page)
        before = [await _drawn(page) for page in pages]
        found.answers = await asyncio.to_thread(server.restart, away)
        began = time.time() - found.answers
        await asyncio.gather(
            *(_comes_back(found, page, shown, began) for page, shown in zip(pages, before, strict=True))
        )
        await chromium.close()
    return found


async def _drawn(page: Page) -> list[str]:
    """What a page shows once its first answer is whole, and its browser has all parts of Streamlit that it needs."""
    await page.wait_for_function("() => window.answered.length === 1", polling=_LOOK)
    await page.locator(SCREENS[_screen(page)]).first.wait_for(state="attached")
    await page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", polling=_LOOK)
    await page.wait_for_function(f"() => {_CHOSEN}", polling=_LOOK)
    shown: list[str] = await page.evaluate(_SHOWN)
    return shown


def _screen(page: Page) -> str:
    return urlsplit(page.url).path.strip("/")


async def _comes_back(found: Returns, page: Page, before: list[str], began: float) -> None:
    """Note when a page was whole again, and whether it shows what it did, further on."""
    from playwright.async_api import TimeoutError as Late

    screen = _screen(page)
    try:
        if screen in PRESSED:
            await page.wait_for_function("() => window.connected !== 1", polling=_LOOK)
            await page.get_by_role("button", name=PRESSED[screen]).click()
        await page.wait_for_function("() => window.answered.length !== 1", polling=_LOOK)
        when: list[float] = await page.evaluate("() => window.answered")
        if len(when) != 2:
            found.errors.append(f"/{screen}: loaded anew or connected {len(when)} times")
            return
        if not screen:
            # It stood still while there was no server.
            await page.wait_for_function(
                "now => document.querySelector('svg.plot')?.getAttribute('aria-label') !== now",
                arg=(await page.evaluate(_SHOWN))[1],
                polling=_LOOK,
            )
    except Late:
        found.errors.append(f"/{screen}: not back within {PATIENCE:.0f} s")
        return
    shown: list[str] = await page.evaluate(_SHOWN)
    wrong: Any = await page.get_by_test_id("stException").count()
    if shown[0] != before[0] or parse_qs(urlsplit(page.url).query).get("run") != [RUN] or wrong:
        found.errors.append(f"/{screen}: shows {shown[0]!r}, and did show {before[0]!r}"[:200])
        return
    found.back.append(when[1] - began)
