"""`serve`: the app for others on a network: by an access code, signing in, or a reverse proxy. `access-code`."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Annotated

import typer

from dans_data.errors import InputError
from dans_data.limits import LIMITS_VARIABLE
from dans_lab.cli.app import start
from dans_lab.sharing import codes, limits, sign_in, tickets
from dans_lab.sharing.codes import Code
from dans_lab.sharing.roles import Role, role_of
from dans_lab.sharing.settings import Sharing, network, share

_OPTIONS: dict[Role, str] = {
    "viewer": "--viewer-code-file",
    "student": "--access-code-file",
    "teacher": "--teacher-code-file",
}
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}", re.ASCII)
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)


def serve(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(help="Where to listen: 0.0.0.0 for every address of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8501,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            envvar="DANS_SERVER_NAME",
            help="A name by which the server is reached, such as lab.example.org. May be repeated.",
        ),
    ] = None,
    access_code_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The code for students; else it is in the variable DANS_ACCESS_CODE."
        ),
    ] = None,
    teacher_code_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The code for teachers; else in DANS_TEACHER_CODE."),
    ] = None,
    viewer_code_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A code for those who only look; else in DANS_VIEWER_CODE."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep what signs the cookies here, so that no one logs in again after a restart; made if missing.",
        ),
    ] = None,
    oidc_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="People sign in by OpenID Connect, at the provider that this TOML file names.",
        ),
    ] = None,
    behind_proxy: Annotated[
        str,
        typer.Option(
            metavar="ADDRESSES",
            help="Reverse proxies whose headers are believed, such as 127.0.0.1 or 10.0.0.0/24, separated by commas.",
        ),
    ] = "",
    user_header: Annotated[
        str,
        typer.Option(
            metavar="HEADER", help="In which header the proxy says who asks, such as X-Remote-User."
        ),
    ] = "",
    role_header: Annotated[
        str,
        typer.Option(metavar="HEADER", help="In which header it says viewer, student or teacher."),
    ] = "",
    usual_role: Annotated[
        str, typer.Option(metavar="ROLE", help="The role of those of whom it does not say one.")
    ] = "student",
    teacher: Annotated[
        list[str] | None,
        typer.Option(metavar="USER", help="Who is a teacher, as the proxy names them. May be repeated."),
    ] = None,
    embed_in: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A site whose pages may show the app in a frame, such as https://moodle.example.org. May be repeated.",
        ),
    ] = None,
    classroom: Annotated[
        bool,
        typer.Option("--classroom", help=f"Limits for a class of thirty on two cores: {limits.CLASSROOM}."),
    ] = False,
    own_limits: Annotated[
        str,
        typer.Option(
            "--limits",
            metavar="LIMITS",
            help="Limits of your own, such as 'epochs=300 minutes=10'; those in DANS_LIMITS count, too.",
        ),
    ] = "",
) -> None:
    """Share the app on a network: with an access code, by signing in, or behind a reverse proxy that knows who asks.

    Further options are for Streamlit, such as --server.baseUrlPath /dans. docs/sharing.md has the whole way.
    """
    allowed, rest = limits.parse(
        limits.CLASSROOM if classroom else "", os.environ.get(LIMITS_VARIABLE, ""), own_limits
    )
    limits.check_rest(rest)
    sharing = Sharing(
        codes=_codes({"student": access_code_file, "teacher": teacher_code_file, "viewer": viewer_code_file}),
        sign_in=_sign_in(oidc_file),
        proxies=tuple(network(part) for part in behind_proxy.split(",") if part.strip()),
        user_header=_header("--user-header", user_header),
        role_header=_header("--role-header", role_header),
        usual_role=role_of(usual_role),
        teachers=frozenset(teacher or ()),
        embedders=tuple(_origin(each) for each in embed_in or ()),
        limits=allowed,
        key=tickets.kept_key(key_file) if key_file else tickets.new_key(),
    )
    if sharing.user_header and not sharing.proxies:
        raise InputError("--user-header is believed from known proxies alone; name them by --behind-proxy")
    if sharing.role_header and not sharing.user_header:
        raise InputError("--role-header needs --user-header, since a role is someone's")
    if sharing.sign_in and sharing.user_header:
        raise InputError("--oidc-file and --user-header both say who asks; give one of them")
    if not sharing.has_a_way_in and (sharing.proxies or not _is_loopback(address)):
        raise InputError(
            f"whoever reaches {address} could train, delete and add data; give --access-code-file, --oidc-file, or "
            "--behind-proxy with --user-header"
        )
    if sharing.sign_in is not None:
        sharing.sign_in.check()
    # The server decides itself whose headers it believes.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    os.environ[LIMITS_VARIABLE] = rest
    if sharing.has_a_way_in:
        share(sharing)
    # Else Streamlit asks a server elsewhere under which address this machine is known.
    names = [*(name or ()), *([sharing.sign_in.host] if sharing.sign_in else [])]
    known_as = names[0] if names else _own_address() if address in ("0.0.0.0", "::") else address
    options = {
        "browser.serverAddress": known_as,
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true",
        "server.maxUploadSize": str(allowed.upload_megabytes),
    }
    if sharing.sign_in is not None and sharing.sign_in.path:
        options["server.baseUrlPath"] = sharing.sign_in.path
    words = [f"--{option}={value}" for option, value in options.items()]
    words += [f"--server.allowedHosts={each}" for each in names]
    start([*words, *context.args])


def access_code(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where its hash is to be kept.")],
    ask: Annotated[bool, typer.Option("--ask", help="Type a code of your own instead.")] = False,
) -> None:
    """Make an access code for `serve`: it is shown once, and the file keeps what it can be checked by."""
    if ask:
        text = typer.prompt("Access code", hide_input=True, confirmation_prompt=True).strip()
        code = codes.parse(text if not text.startswith("scrypt$") else "", "what you typed")
        codes.write(file, code)
        return
    text = codes.made()
    codes.write(file, Code.of(text))
    print(text)


def _codes(files: dict[Role, Path | None]) -> dict[Role, Code]:
    """The code of each role, from its file or its variable."""
    found = codes.from_environment()
    for role, file in files.items():
        if file is None:
            continue
        if role in found:
            raise InputError(
                f"the code of a {role} is given twice, by {_OPTIONS[role]} and by {codes.VARIABLES[role]}; give it once"
            )
        found[role] = codes.read(file)
    return found


def _sign_in(file: Path | None) -> sign_in.SignIn | None:
    """Where people sign in, if at all; InputError where what it needs is not installed."""
    if file is None:
        return None
    if missing := [each for each in ("authlib", "httpx2") if importlib.util.find_spec(each) is None]:
        raise InputError(
            f"--oidc-file needs {missing[0]}, which is not installed; install it by: pip install authlib httpx2"
        )
    return sign_in.read(file)


def _own_address() -> str:
    """The address of this machine in its network; nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        try:
            way_out.connect(("192.0.2.1", 9))
            found: str = way_out.getsockname()[0]
        except OSError:
            return "localhost"
    return found


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _header(option: str, text: str) -> str:
    if text and not _HEADER.fullmatch(text):
        raise InputError(f"{option} is {text[:60]!r}; expected the name of a header, such as X-Remote-User")
    return text


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise InputError(
            f"--embed-in is {text[:80]!r}; expected an origin, such as https://moodle.example.org"
        )
    return text
