"""What a person should know of this machine and installation before anything is trained; torch only where it is needed.

Each check looks and changes nothing, but for a file of no bytes that it writes into a folder and takes away again.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import re
import resource
import shutil
import socket
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dans_data.cache import CACHE_DIR_VARIABLE, OWN_DIR_VARIABLE, cache_dir, own_dir
from dans_data.errors import InputError
from dans_data.files import home
from dans_data.limits import LIMITS_VARIABLE, Limits
from dans_data.places import BUNDLED, DATA_DIR_VARIABLE
from dans_data.shipped import TOP
from dans_data.words import bytes_in_words, count, listed, plural
from dans_lab import log
from dans_lab.budget.estimates import MEMORY_VARIABLE, free_memory
from dans_lab.runs import machine
from dans_lab.runs.folder import ListedRuns, Shelf
from dans_lab.runs.run import RECORDED, RUNS_DIR_VARIABLE, runs_dir

State = Literal["OK", "worth knowing", "to mend"]

_VARIABLES = {
    CACHE_DIR_VARIABLE,
    DATA_DIR_VARIABLE,
    LIMITS_VARIABLE,
    log.LOG_VARIABLE,
    MEMORY_VARIABLE,
    OWN_DIR_VARIABLE,
    RUNS_DIR_VARIABLE,
    machine.THREADS_VARIABLE,
    # Named here once more, since the modules that own them bring torch, or libraries of network and terminal.
    "DANS_ACCESS_CODE",
    "DANS_DEVICE",
    "DANS_MIRROR",
    "DANS_OIDC_SECRET",
    "DANS_SAMPLERS",
    "DANS_TEACHER_CODE",
    "DANS_VIEWER_CODE",
}

_ROOM, _SCARCELY = 2_000_000_000, 100_000_000
"""Bytes of a disk under which it is told, and under which nothing can be trained for long."""

_MEMORY, _LITTLE_MEMORY = 2_000_000_000, 700_000_000
"""The same of memory: server, a worker, and the processes for torch and UMAP take 1.7 GB together, a worker 0.5."""

_FILES, _FEW_FILES = 4_096, 512
"""The same of open files: each open browser session holds a few."""

_DEVICE_FILES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""One of them is there where the system has a GPU that torch might use."""

_BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """What was found of one thing, and what helps where it is not as it should be."""

    about: str
    state: State
    found: str
    advice: str = ""


def examine(gpu: bool = False) -> list[Finding]:
    """All findings, in an order to be read in. With `gpu`, torch is imported and asked even where no GPU is seen."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("program", _program),
        ("Python", _python),
        ("packages", _packages),
        ("runs folder", lambda: _folder("runs folder", runs_dir(), RUNS_DIR_VARIABLE, locks=True)),
        ("own data", lambda: _folder("own data", own_dir(), OWN_DIR_VARIABLE)),
        ("downloads", lambda: _folder("downloads", cache_dir(), CACHE_DIR_VARIABLE)),
        ("given data", _given_data),
        ("temporary", lambda: _folder("temporary", Path(tempfile.gettempdir()), "TMPDIR")),
        ("port", _port),
        ("cores", _cores),
        ("memory", _memory),
        ("GPU", lambda: _gpu(gpu)),
        ("open files", _open_files),
        ("settings", _settings),
        ("log", _log),
        ("test browser", _browser),
        ("running", lambda: _running(Shelf().look())),
    )
    found: list[Finding] = []
    for about, check in checks:
        try:
            found += check()
        except InputError as error:
            found.append(Finding(about, "to mend", str(error)))
        except OSError as error:
            found.append(Finding(about, "to mend", f"could not be looked at ({error.strerror or error})"))
    return found


# --- what was installed ------------------------------------------------------------------------------------------


def _program() -> Iterator[Finding]:
    parts = {
        "app.py": TOP / "app.py",
        "pages": TOP / "pages",
        "data sets": BUNDLED,
        "recorded runs": RECORDED,
    }
    if missing := [name for name, path in parts.items() if not path.exists()]:
        advice = "install it again, or take a whole checkout"
        yield Finding("program", "to mend", f"{listed(missing)} missing in {TOP}", advice)
    else:
        yield Finding("program", "OK", f"whole, in {TOP}")


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()}, {sys.executable}"
    if sys.prefix == sys.base_prefix:
        advice = (
            "a virtual environment keeps other programs from changing its packages (python3 -m venv .venv)"
        )
        yield Finding("Python", "worth knowing", f"{found}, no virtual environment", advice)
    else:
        yield Finding("Python", "OK", found)


def _packages() -> Iterator[Finding]:
    pinned = _pinned()
    whole = True
    for name, wanted in pinned.items():
        try:
            # What follows a plus is the build, such as +cpu.
            found = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if found == wanted:
            continue
        whole = False
        near = found.split(".")[:2] == wanted.split(".")[:2]
        yield Finding(
            "packages",
            "worth knowing" if near else "to mend",
            f"{name} {found or 'is not installed'}; tested with {wanted}",
            f"{sys.executable} -m pip install {name}=={wanted}",
        )
    if whole:
        yield Finding("packages", "OK", f"all {len(pinned)} in the versions it is tested with")


def _pinned() -> dict[str, str]:
    """Name to version, as the project pins them."""
    try:
        project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines: list[str] = project["dependencies"]
    except FileNotFoundError:
        # Installed: what it was built with stands in its metadata.
        lines = [line for line in importlib.metadata.requires("dans-lab") or () if ";" not in line]
    return dict(line.split("==") for line in lines)


# --- folders -----------------------------------------------------------------------------------------------------


def _folder(about: str, path: Path, variable: str, locks: bool = False) -> Iterator[Finding]:
    """Whether a folder can be written, or made; what room its disk has; and whether locks work there."""
    path = path.absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    where = f"{path}" + ("" if there == path else " (will be made)")
    elsewhere = f"let {variable} name another folder"
    if not there.is_dir():
        yield Finding(about, "to mend", f"{there} is no folder", f"move it away, or {elsewhere}")
        return
    if (problem := _refusal(there, locks)) is not None:
        yield Finding(about, "to mend", f"{there} {problem}", f"allow it, or {elsewhere}")
        return
    room = shutil.disk_usage(there).free
    found = f"{where}, {bytes_in_words(room)} free"
    if room < _ROOM:
        state: State = "to mend" if room < _SCARCELY else "worth knowing"
        yield Finding(about, state, found, f"make room on its disk, or {elsewhere}")
    else:
        yield Finding(about, "OK", found)


def _refusal(folder: Path, locks: bool) -> str | None:
    """What the folder does not allow of what a run needs, or None."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if locks:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    return f"allows no locks on files ({error.strerror}), by which runs are kept apart"
    except OSError as error:
        return f"cannot be written ({error.strerror or error})"
    return None


def _given_data() -> Iterator[Finding]:
    if not (text := os.environ.get(DATA_DIR_VARIABLE)):
        return
    path = home(Path(text)).absolute()
    if path.is_dir() and os.access(path, os.R_OK | os.X_OK):
        yield Finding("given data", "OK", f"{path}")
    else:
        advice = f"mend {DATA_DIR_VARIABLE}, or unset it"
        yield Finding("given data", "to mend", f"{path} is no folder that can be read", advice)


# --- the machine -------------------------------------------------------------------------------------------------


def _port() -> Iterator[Finding]:
    text = os.environ.get("STREAMLIT_SERVER_PORT") or "8501"
    if re.fullmatch("[0-9]{1,5}", text, re.ASCII) is None or not 1 <= int(text) <= 65535:
        yield Finding(
            "port", "to mend", f"STREAMLIT_SERVER_PORT = {text!r} is no port", "say one, such as 8501"
        )
        return
    with socket.socket() as probe:
        # As a server does it, so that connections that are ending do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except PermissionError:
            yield Finding("port", "to mend", f"{text} is not allowed for you", "say --server.port 8501")
            return
        except OSError as error:
            advice = "perhaps by this app; to start another, say --server.port and a number"
            yield Finding("port", "worth knowing", f"{text} is taken ({error.strerror})", advice)
            return
    yield Finding("port", "OK", f"{text} is free")


def _cores() -> Iterator[Finding]:
    cores = machine.cores()
    load = os.getloadavg()[0]
    found = f"{cores}, one for each run; load {load:.1f}; {machine.processor()}, {machine.instruction_set()}"
    if load > cores:
        advice = "others use them, too: runs take longer, and estimates are of a machine as busy as now"
        yield Finding("cores", "worth knowing", found, advice)
    elif cores < 2:
        yield Finding("cores", "worth knowing", found, "screens wait while a run trains; two are better")
    else:
        yield Finding("cores", "OK", found)


def _memory() -> Iterator[Finding]:
    free = free_memory()
    if free is None:
        yield Finding("memory", "worth knowing", "this system does not tell", f"say it by {MEMORY_VARIABLE}")
    elif free < _MEMORY:
        state: State = "to mend" if free < _LITTLE_MEMORY else "worth knowing"
        advice = "end other programs; the app with a run takes about 1.7 GB"
        yield Finding("memory", state, f"{bytes_in_words(free)} free", advice)
    else:
        yield Finding("memory", "OK", f"{bytes_in_words(free)} free")


def _gpu(asked: bool) -> Iterator[Finding]:
    chosen = os.environ.get("DANS_DEVICE") or "auto"
    seen = [path for path in _DEVICE_FILES if Path(path).exists()]
    if not asked and (chosen == "cpu" or (chosen == "auto" and not seen)):
        why = "DANS_DEVICE says so" if chosen == "cpu" else "no GPU is seen"
        yield Finding("GPU", "OK", f"runs train on the CPU ({why})")
        return
    try:
        from dans_core.device import choose, name_of
    except ImportError as error:
        yield Finding("GPU", "to mend", f"torch cannot be imported ({error})", "install it again")
        return
    device = choose()
    if device.type == "cpu" and chosen == "auto" and seen:
        advice = "install a torch with CUDA and the system's driver for it, or leave it: CPUs are well served"
        yield Finding(
            "GPU", "worth knowing", f"{seen[0]} is there, but torch finds no GPU that it can use", advice
        )
    else:
        where = "the CPU (torch finds no GPU)" if device.type == "cpu" else name_of(device)
        yield Finding("GPU", "OK", f"runs train on {where}")


def _open_files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft if hard == resource.RLIM_INFINITY else hard
    found = f"{soft:,} at once" + (f", up to {hard:,} by the app itself" if hard > soft else "")
    if most < _FILES:
        state: State = "to mend" if most < _FEW_FILES else "worth knowing"
        yield Finding(
            "open files", state, found, f"raise the limit for many viewers: ulimit -Hn {16 * _FILES}"
        )
    else:
        yield Finding("open files", "OK", found)


def _settings() -> Iterator[Finding]:
    Limits.from_environment()
    given = {name for name in os.environ if name.startswith("DANS_")}
    if unknown := sorted(given - _VARIABLES):
        them = plural(len(unknown), "is no setting", "are no settings")
        advice = f"known are {listed(sorted(_VARIABLES))}"
        yield Finding("settings", "worth knowing", f"{listed(unknown)} {them} and will not be read", advice)
    else:
        # Names alone, since a value may hold a password.
        yield Finding("settings", "OK", listed(sorted(given)) if given else "no DANS_ variable is set")


def _log() -> Iterator[Finding]:
    if (path := log.place()) is None:
        yield Finding("log", "OK", "to standard error" if os.environ[log.LOG_VARIABLE] == "-" else "off")
        return
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if os.access(there, os.W_OK):
        yield Finding("log", "OK", str(path))
    else:
        advice = f"let {log.LOG_VARIABLE} name another file, or - for standard error"
        yield Finding("log", "to mend", f"{path} cannot be written", advice)


def _browser() -> Iterator[Finding]:
    if not (TOP / "tests").is_dir():
        return
    if path := next(filter(None, map(shutil.which, _BROWSERS)), None):
        yield Finding("test browser", "OK", path)
    else:
        advice = "for tests alone; Debian: apt-get install chromium-headless-shell"
        yield Finding("test browser", "worth knowing", "no Chromium; browser tests will be skipped", advice)


# --- what is under way -------------------------------------------------------------------------------------------


def _running(look: ListedRuns) -> Iterator[Finding]:
    live = [entry for entry in look.entries if not entry.recorded and entry.status.live]
    if silent := [entry.id for entry in live if entry.status.silent is not None]:
        do = plural(len(silent), "does", "do")
        advice = "see whether its process was stopped (kill -CONT), or end it"
        yield Finding("running", "worth knowing", f"{_some(silent)} {do} not answer", advice)
    if look.unreadable:
        advice = "python -m dans_core runs says why"
        found = f"{count(len(look.unreadable), 'folder')} in the runs folder cannot be read as a run"
        yield Finding("running", "worth knowing", found, advice)
    if live:
        yield Finding(
            "running", "OK", f"{count(len(live), 'run')} under way: {_some([entry.id for entry in live])}"
        )
    else:
        yield Finding("running", "OK", "no run is under way")


def _some(ids: list[str]) -> str:
    return listed(ids[:4] + [f"{len(ids) - 4} more"] * (len(ids) > 4))
