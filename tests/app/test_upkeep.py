"""The upkeep of a server: sessions that are over give back all that they hold, and there is room for open files."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.runtime.session_manager import SessionClient
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from dans_app.server.upkeep import let_go, raise_limit


class Browser(SessionClient):
    """A client that reads nothing."""

    def write_forward_msg(self, msg) -> None:
        pass

    @property
    def client_context(self):
        return None


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_session_that_is_over_holds_nothing_any_more():
    """Streamlit itself keeps it until another session is put aside."""

    async def visits() -> None:
        uploads = MemoryUploadedFileManager("/upload")
        storage = MemorySessionStorage(ttl_seconds=0)
        sessions = WebsocketSessionManager(storage, uploads, ScriptCache(), None)
        staying = sessions.connect_session(Browser(), ScriptData("app.py"), {})
        before = handles()
        gone = sessions.connect_session(Browser(), ScriptData("app.py"), {})
        assert handles() == before + 3
        uploads.add_file(gone, UploadedFileRec("file", "mine.tsv", "text/plain", b"a\tb\tc"))
        sessions.disconnect_session(gone)
        assert handles() == before + 3
        assert let_go(sessions) == 1
        assert handles() == before and uploads.get_files(gone, ["file"]) == []
        assert sessions.is_active_session(staying) and let_go(sessions) == 0
        sessions.close_session(staying)

    # In a thread, as the loop of a browser may run in this one.
    with ThreadPoolExecutor() as apart:
        apart.submit(asyncio.run, visits()).result()


def test_a_session_that_may_come_back_is_kept():
    async def visits() -> None:
        sessions = WebsocketSessionManager(
            MemorySessionStorage(), MemoryUploadedFileManager("/upload"), ScriptCache(), None
        )
        gone = sessions.connect_session(Browser(), ScriptData("app.py"), {})
        sessions.disconnect_session(gone)
        assert let_go(sessions) == 0
        back = sessions.connect_session(Browser(), ScriptData("app.py"), {}, existing_session_id=gone)
        assert back == gone
        sessions.close_session(back)

    # In a thread, as the loop of a browser may run in this one.
    with ThreadPoolExecutor() as apart:
        apart.submit(asyncio.run, visits()).result()


def test_the_server_raises_its_limit_of_open_files_as_far_as_it_may():
    code = "from dans_app.server.upkeep import raise_limit; print(*raise_limit())"
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 3000)

    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    done = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=low, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["256", str(hard)]
    assert raise_limit()[1] >= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
