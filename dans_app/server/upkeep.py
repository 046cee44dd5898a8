"""What keeps a server alive for a term: room for open files, and sessions that are over let go.

Streamlit gives each browser session an event loop of its own, which holds three handles: one of epoll and both ends of
a socket pair. A session whose browser has gone is kept for two minutes, at most 128 of them, so that it may come back.
Those whose time is over go when another session is put aside, and not before: after a lesson the last ones would stay
for ever, with what they uploaded and what they hold. So they are looked for here.
"""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from contextlib import suppress

from streamlit import runtime
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionManager

from dans_app.server import helper
from dans_lab import log

EVERY = 15.0
"""Seconds between two looks for sessions that are over."""

MOST_FILES = 65_536
"""Files that the server may hold open where the system lets it; more would only make each new process slower."""


def raise_limit(most: int = MOST_FILES) -> tuple[int, int]:
    """Let this process and those it starts open as many files as they may, up to `most`: how many before, and now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft, soft
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def let_go(sessions: SessionManager) -> int:
    """Close the sessions whose time is over, with all that they hold; how many. For the server's own event loop."""
    storage = getattr(sessions, "_session_storage", None)
    if not isinstance(storage, MemorySessionStorage):
        return 0
    over = storage._cache.expire()  # type: ignore[attr-defined] # cachetools: untyped
    for _, info in over:
        info.session.shutdown()
    return len(over)


def begin() -> None:
    """Raise the limit, and look for sessions that are over as long as this server lives. Returns at once."""
    if not runtime.exists():
        return
    before, now = raise_limit()
    log.tell("server began", files_before=before, files=now)
    threading.Thread(target=_look_again, name="upkeep", daemon=True).start()


def _look_again() -> None:
    while True:
        time.sleep(EVERY)
        helper.rest()
        # A server that is ending has no runtime any more, or has closed its loop.
        with suppress(RuntimeError):
            server = runtime.get_instance()
            server._get_async_objs().eventloop.call_soon_threadsafe(_look, server)


def _look(server: runtime.Runtime) -> None:
    assert asyncio.get_running_loop()
    if gone := let_go(server._session_mgr):
        log.tell("sessions ended", sessions=gone, left=len(server._session_mgr.list_sessions()))
