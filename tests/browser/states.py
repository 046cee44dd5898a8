"""The states of a screen that a browser test waits for, so that a busy machine makes it slower and never wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from playwright.sync_api import TimeoutError as TooLate

from tests.waiting import wait_for

WATCH = """(() => {
  const Plain = window.WebSocket
  const app = { sent: 0, waiting: false, running: false, changed: 0 }
  window.appSocket = app
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given)
      this.addEventListener("message", ({ data }) => {
        app.changed = performance.now()
        const bytes = new Uint8Array(data)
        // How the server says that the script runs, or no longer does.
        if (bytes[0] === 0x4a && bytes.length <= 6) {
          app.waiting = false
          app.running = bytes[bytes.length - 2] === 0x10 && bytes[bytes.length - 1] === 1
        }
      })
    }
    send(data) {
      app.sent += 1
      app.waiting = true
      app.changed = performance.now()
      super.send(data)
    }
  }
})()"""
"""Keeps account of what the browser asked of the server, and whether the answer has come."""

_AT_REST = """() => {
  const app = window.appSocket
  const shown = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"
  return shown && app.sent && !app.waiting && !app.running && performance.now() - app.changed > 100
}"""
_BUSY = (
    ".map[data-moving], .map[data-telling], .step[data-moving], .step[data-telling], .curves[data-playing]"
)


LOOK = 50
"""Milliseconds from one look of the browser to the next; at each frame, as is usual, a page never rests itself."""

AGAIN = 30_000
"""Milliseconds after which what did not show is asked for again: longer than a busy machine takes to show it."""


def at_rest(page: Any) -> None:
    """Wait until all that was asked is answered and drawn, no point moves and nothing is about to be told."""
    page.wait_for_function(_AT_REST, polling=LOOK)
    while page.locator(_BUSY).count():
        page.locator(_BUSY).first.wait_for(state="detached")
        page.wait_for_function(_AT_REST, polling=LOOK)


def press(page: Any, key: str, then: Any) -> None:
    """Press a key until `then` shows: a page hears its keys some moment after it has drawn the buttons they press."""
    _again(lambda: page.keyboard.press(key), then, f"what follows the key {key}")


def open_dialog(button: Any, then: Any) -> None:
    """Press a button until what its dialog holds shows: one closes where the screen is drawn anew behind it."""
    _again(lambda: button.click(timeout=AGAIN), then, "the dialog")


def drag(page: Any, box: Callable[[], dict[str, float]], to: tuple[float, float], then: Any) -> None:
    """Drag until `then` shows, from (60, 60) within a box to `to`: what stands above it may move it meanwhile."""

    def dragged() -> None:
        at = box()
        page.mouse.move(at["x"] + 60, at["y"] + 60)
        page.mouse.down()
        page.mouse.move(at["x"] + to[0], at["y"] + to[1], steps=4)
        page.mouse.up()

    _again(dragged, then, "what follows the drag")


def _again(act: Callable[[], None], then: Any, what: str) -> None:
    def shown() -> bool:
        # What came late stands before the button, or would be closed by it.
        if then.is_visible():
            return True
        with suppress(TooLate):
            act()
        with suppress(TooLate):
            then.wait_for(timeout=AGAIN)
        return then.is_visible()

    wait_for(shown, what)


def fits(page: Any) -> None:
    """Wait until nothing makes the page scroll sideways."""
    page.wait_for_function(
        "() => document.documentElement.scrollWidth <= window.innerWidth + 1", polling=LOOK
    )


def inside(parts: Any, width: int = 400) -> None:
    """Wait until all these parts of the page, one at least, lie within its width in pixels."""

    def all_inside() -> bool:
        boxes = [part.bounding_box() for part in parts.all()]
        return bool(boxes) and all(
            box and box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes
        )

    wait_for(all_inside, "a page as narrow as the window")


def is_calm(page: Any) -> None:
    """No error box, and nothing of a name that became an element."""
    assert page.locator("[data-testid=stException], img[src=x]").count() == 0
