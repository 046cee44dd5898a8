"""Real browsers that look at runs that train: seconds from a click to the screen, and whether a curve stands still."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.soak_shared import WHO
from tests.browser.server import ARGUMENTS, WITHOUT_WINDOWS

if TYPE_CHECKING:
    from playwright.async_api import Page

SCREENS = {
    "Train": ".curves svg.plot path.line",
    "Map": ".map canvas[aria-label]",
    "Triplet": ".js-plotly-plot .points path",
    "Diagnostics": ".js-plotly-plot .scatterlayer path",
    "Compare": ".curves svg.plot path.line",
    "Runs": "[data-testid=stDataFrame]",
}
"""What they look at in turn, and what each of these shows once it is drawn."""

PATIENCE = 120.0
"""Seconds after which a screen counts as lost."""

_STATUS = re.compile(r"epoch ([\d,]+) of", re.I)


@dataclass
class Looks:
    """What they saw: seconds of each click by screen, how often a curve was seen to move on, what went wrong."""

    clicks: dict[str, list[float]] = field(default_factory=dict)
    moves: int = 0
    errors: list[str] = field(default_factory=list)


def watch(url: str, runs: list[str], browsers: int, seconds: float, seed: int, pause: float) -> Looks:
    """So many browsers, each with a profile of its own, look at these runs in turn, some `pause` seconds a screen.

    For a thread of its own. RuntimeError without a Chromium.
    """
    found = Looks()
    asyncio.run(_all(found, url, runs, browsers, seconds, seed, pause))
    return found


async def _all(
    found: Looks, url: str, runs: list[str], browsers: int, seconds: float, seed: int, pause: float
) -> None:
    from playwright.async_api import async_playwright

    if WITHOUT_WINDOWS is None:
        raise RuntimeError("no Chromium found; on Debian: apt install chromium-headless-shell")
    async with async_playwright() as play:
        chromium = await play.chromium.launch(executable_path=WITHOUT_WINDOWS, args=ARGUMENTS)
        end = time.monotonic() + seconds
        try:
            await asyncio.gather(
                *(
                    _one(found, chromium, f"{url}/?run={runs[n % len(runs)]}", end, seed + n, pause)
                    for n in range(browsers)
                )
            )
        finally:
            await chromium.close()


async def _one(found: Looks, chromium: object, address: str, end: float, seed: int, pause: float) -> None:
    from playwright.async_api import Error

    chance = random.Random(seed)
    context = await chromium.new_context(  # type: ignore[attr-defined] # playwright is imported where it is needed
        viewport={"width": 1400, "height": 1000}, reduced_motion="reduce", extra_http_headers=WHO
    )
    context.set_default_timeout(1000 * PATIENCE)
    page = await context.new_page()
    page.on("pageerror", lambda error: found.errors.append(f"a script of the page: {error}"[:200]))
    try:
        await page.goto(address)
        await page.locator(SCREENS["Train"]).first.wait_for(state="attached")
        turn = seed
        while time.monotonic() < end:
            turn += 1
            name = list(SCREENS)[turn % len(SCREENS)]
            began = time.monotonic()
            await page.get_by_role("link", name=name, exact=True).first.click()
            await page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
            await page.locator(SCREENS[name]).first.wait_for(state="attached")
            found.clicks.setdefault(name, []).append(time.monotonic() - began)
            if name == "Train":
                await _moves(found, page)
            if await page.get_by_test_id("stException").count():
                found.errors.append(f"{name}: an exception on the screen")
            await asyncio.sleep(pause * chance.uniform(0.5, 1.5))
    except Error as error:
        found.errors.append(f"{error}".splitlines()[0][:200])
    finally:
        await context.close()


async def _moves(found: Looks, page: Page) -> None:
    """A later epoch than the one that stands there must come by itself."""
    status = page.get_by_text(_STATUS).first

    async def epoch() -> int:
        seen = _STATUS.search(await status.inner_text())
        return int(seen[1].replace(",", "")) if seen else 0

    first, end = await epoch(), time.monotonic() + PATIENCE
    while await epoch() <= first:
        if time.monotonic() > end:
            found.errors.append(f"Train: epoch {first} stood still for {PATIENCE:.0f} s")
            return
        await asyncio.sleep(0.2)
    found.moves += 1
