"""A data set of the catalogue is downloaded once, checked, and kept."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dans_data.cache import arriving, turn
from dans_data.cache import cache_dir as cache_dir
from dans_data.catalogue import CATALOGUE, File, Known
from dans_data.errors import InputError
from dans_data.places import DATA_DIR_VARIABLE, download_place, folders, is_whole
from dans_data.triplets import SPLITS, printable, suggestion

MIRROR_VARIABLE = "DANS_MIRROR"
"""An address that takes the place of a download's scheme and host, for who cannot reach the original."""

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and all there will be."""

_TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""

_WAITS = (1.0, 3.0)
"""Seconds before the second and the third try."""

_CHUNK = 1 << 16
_TOO_MANY_REQUESTS = 429


def fetch(name: str, progress: Progress | None = None, catalogue: Mapping[str, Known] = CATALOGUE) -> Path:
    """The folder of a data set of the catalogue; downloads it if it is not here.

    It comes from where `available` finds it, else into the cache, where its folder appears only when all three
    files have come and are right. Of two processes that ask at once, one downloads and the other waits. What
    `progress` raises ends the download, and nothing is kept.

    Raises:
        InputError: no such name, no network, an answer that is not the file, or a cache that cannot be written.
    """
    if name not in catalogue:
        names = f"{', '.join(catalogue)}{suggestion(name, catalogue)}"
        raise InputError(f'there is no data set "{printable(name, 60)}" to download; expected one of {names}')
    if name in (here := folders()):
        return here[name]
    known = catalogue[name]
    if known.bundled:
        raise InputError(
            f"{name} should have come with the program and is missing; install the program again"
        )
    place = download_place(name)
    with turn(place):
        # Another process may have had its turn meanwhile.
        if not is_whole(place):
            with arriving(place) as partial:
                _download(name, known, partial, progress)
    return place


def _download(name: str, known: Known, folder: Path, progress: Progress | None) -> None:
    done = 0
    for split in SPLITS:
        file, before = known.files[split], done
        target = folder / f"{split}.txt"

        def tell(came: int, before: int = before) -> None:
            if progress:
                progress(min(before + came, known.bytes), known.bytes)

        tell(0)
        try:
            _get_patiently(_address(file.url), target, file, tell)
        except InputError as error:
            raise InputError(f"{name} was not downloaded: {error}") from error
        if not file.is_right(target):
            raise InputError(
                f"{name} was not downloaded: what {_shown(_address(file.url))} sent is not the expected file "
                "(its checksum differs); nothing was kept"
            )
        done += file.size
    tell(known.files[SPLITS[-1]].size)


def _address(url: str) -> str:
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return url
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise InputError(
            f'{MIRROR_VARIABLE} is "{_shown(mirror)}"; expected an address that begins with https:// or http://'
        )
    return mirror.rstrip("/") + urlsplit(url).path


def _shown(url: str) -> str:
    """An address without the name and password that may stand in it."""
    return re.sub(r"(^|//)[^/]*@", r"\1", url)


def _get_patiently(url: str, target: Path, file: File, tell: Callable[[int], None]) -> None:
    """Download, and try again after a while what may pass: no answer, a server's trouble, a broken connection."""
    for wait in (*_WAITS, None):
        try:
            _get(url, target, file, tell)
            return
        except _MayPassError as error:
            if wait is None:
                raise InputError(str(error)) from error
        time.sleep(wait)


class _MayPassError(Exception):
    """What went wrong, in words, where another try may go better."""


def _get(url: str, target: Path, file: File, tell: Callable[[int], None]) -> None:
    import pooch
    import requests

    meter = _Meter(url, target, file, tell)
    host = _shown(urlsplit(url).netloc)
    try:
        pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK, timeout=_TIMEOUT)(url, target, None)
    except requests.HTTPError as error:
        response = error.response
        assert response is not None
        code = response.status_code
        sentence = f"{_shown(url)} answered {code} {response.reason}".rstrip()
        if code == _TOO_MANY_REQUESTS or code >= 500:
            raise _MayPassError(f"{sentence}; try again later") from error
        raise InputError(f"{sentence}; the file is not there any more, or not for everyone") from error
    except requests.RequestException as error:
        if meter.total is not None:
            raise _MayPassError(
                f"the connection to {host} broke off in the middle of {target.name}; try again"
            ) from error
        if isinstance(error, requests.exceptions.SSLError):
            raise InputError(
                f"the certificate of {host} is not trusted here; check the date and the proxy"
            ) from error
        raise _MayPassError(
            f"{host} cannot be reached; check the network, or let {DATA_DIR_VARIABLE} name a folder that has the data"
        ) from error


class _Meter:
    """Tells how much has come, in the form of a pooch progress bar, and ends a download that is far too long."""

    total: int | None = None
    """Set once the server has begun to answer."""

    def __init__(self, url: str, target: Path, file: File, tell: Callable[[int], None]) -> None:
        self._url, self._target, self._file, self._tell = url, target, file, tell

    def update(self, _: int) -> None:
        # pooch counts whole chunks, and what comes may be shorter.
        came = self._target.stat().st_size
        if came > 2 * self._file.size + _CHUNK:
            raise InputError(
                f"what {_shown(self._url)} sends is far longer than the expected file; nothing was kept"
            )
        self._tell(min(came, self._file.size))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass
