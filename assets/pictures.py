"""Makes the pictures of the app: `python -m assets.pictures` (needs requirements-dev.txt and Chromium).

Each screen, on the recorded run, in light, dark and phone width, as a person first sees it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from dans_data.cache import CACHE_DIR_VARIABLE, OWN_DIR_VARIABLE
from tests.browser.server import ARGUMENTS, CHROMIUM, Server

FOLDER = Path(__file__).parent / "pictures"
RUN = "umls-complex-dans"
SCREENS = {
    "train": f"train?run={RUN}",
    "how": f"how?run={RUN}&part=g_r",
    "step": f"step?run={RUN}&head=enzyme&relation=affects&tail=cell_function&stop=6",
    "lessons": "lessons",
    "data": "data?data=umls&entity=enzyme",
    "map": f"map?run={RUN}&relation=affects",
    "quiz": f"quiz?run={RUN}&game=pathway&answers=e&round=1",
    "predict": f"predict?run={RUN}&head=enzyme&relation=affects",
    "diagnostics": f"diagnostics?run={RUN}",
    "compare": f"compare?runs={RUN},umls-complex-uniform",
    "studies": "studies?study=umls/main",
    "runs": "runs",
    "triplet": f"triplet?run={RUN}&head=enzyme&relation=affects&tail=cell_function",
}
LOOKS: dict[str, dict[str, object]] = {
    "light": {"viewport": {"width": 1400, "height": 1150}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1400, "height": 1150}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 400, "height": 900}, "color_scheme": "light"},
}


def take(browser: Browser, url: str, look: dict[str, object], file: Path) -> None:
    """One picture, once nothing on the page is being computed any more."""
    context = browser.new_context(**look)
    page = context.new_page()
    page.goto(url)
    settle(page)
    page.screenshot(path=file)
    context.close()


def settle(page: Page) -> None:
    """Wait until the charts are drawn, the app has run and no element waits for new content."""
    page.locator(
        "svg.plot path.line, svg [role=button], canvas.canvas[aria-label], .js-plotly-plot .points path, "
        "[data-testid=stDataFrame], .st-key-lesson_list, .step[data-round]"
    ).first.wait_for(timeout=60_000)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
    page.wait_for_selector("[data-testid=stSkeleton]", state="detached", timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)


def main() -> None:
    """Take all pictures."""
    if CHROMIUM is None:
        sys.exit("error: no Chromium found; on Debian: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        runs = Path(folder) / "runs"
        runs.mkdir()
        # What the person has downloaded, timed or added would be in the pictures.
        os.environ[CACHE_DIR_VARIABLE] = f"{folder}/cache"
        os.environ[OWN_DIR_VARIABLE] = f"{folder}/own"
        server = Server(runs)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            for screen, address in SCREENS.items():
                for look, options in LOOKS.items():
                    file = FOLDER / f"{screen}-{look}.png"
                    take(browser, f"{server.url}/{address}", options, file)
                    print(f"{file.name}: {file.stat().st_size // 1024} KiB")
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
