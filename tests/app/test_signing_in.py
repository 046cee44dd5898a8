"""Signing in by OpenID Connect, at a provider on this machine: who comes in as what, and what does not start."""

from __future__ import annotations

import dataclasses
import html
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dans_data.errors import InputError
from dans_lab import cli
from dans_lab.sharing import sign_in
from dans_lab.sharing.settings import Sharing
from dans_lab.sharing.sign_in import SECRET_VARIABLE, SignIn
from dans_lab.sharing.tickets import Ticket
from tests.app.test_access import ADDRESSES, Asker
from tests.browser.server import Server, free_port
from tests.provider import Provider


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server below a path, which lets people of example.org in."""
    folder = tmp_path_factory.mktemp("signing-in")
    (folder / "runs").mkdir()
    port = free_port()
    (folder / "oidc.toml").write_text(provider.settings(f"http://127.0.0.1:{port}/dans"))
    options = ("--oidc-file", str(folder / "oidc.toml"), "--usual-role", "student")
    started = Server(folder / "runs", serve=options, port=port)
    yield started
    started.stop()


def signs_in(session: requests.Session, server: Server, name: str, following: str = "/dans/map?run=x"):
    """Go the whole way of a browser; the last answer."""
    form = session.get(f"{server.url}/dans/sign-in", params={"next": following})
    assert "Go on" in form.text
    return session.post(form.url, {**dict(fields(form.text)), "name": name})


def fields(text: str) -> Iterator[tuple[str, str]]:
    """What the provider's form holds besides the name."""
    for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', text):
        yield html.unescape(name), html.unescape(value)


def websocket(session: requests.Session, server: Server) -> int:
    """Status of a WebSocket's handshake with all that this browser has kept."""
    kept = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    return Asker(server).websocket("/dans/_stcore/stream", Origin=server.url, Cookie=kept)


def test_before_signing_in_nothing_is_served(server):
    asker = Asker(server)
    for path in ADDRESSES:
        assert asker.ask(f"/dans{path}")[0] == 401, path
    assert asker.ask("/dans/_stcore/upload_file/a/b", "PUT", {})[0] == 401
    assert asker.websocket("/dans/_stcore/stream") == 403
    # Cookies that Streamlit did not sign, and one that says who it is without a ticket, open nothing.
    assert asker.websocket("/dans/_stcore/stream", Cookie="_streamlit_user=x; dans_following=y") == 403
    status, _, text = asker.ask("/dans/map?run=x&y=<b>", Accept="text/html")
    assert status == 401 and ">Sign in</a>" in text and "<form" not in text and "<b>" not in text
    for path in ("/dans/auth/login?provider=x", "/dans/oauth2callback", "/dans/auth/logout"):
        status, headers, _ = asker.ask(path)
        assert status in (302, 303) and headers["location"] == "/dans/", path
    # With a slash more they are no routes of Streamlit's, which has its page there.
    for path, status in (
        ("/dans/auth/logout/", 401),
        ("/dans/auth/login/", 502),
        ("/dans/oauth2callback/?code=x", 403),
    ):
        found, _, text = asker.ask(path)
        assert found == status and "<script" not in text, path


def test_people_come_in_as_what_they_are(server, provider):
    for name, role in (("ada", "teacher"), ("bob", "student"), ("tom", "teacher"), ("vera", "viewer")):
        session = requests.Session()
        answer = signs_in(session, server, name)
        assert answer.status_code == 200 and answer.url == f"{server.url}/dans/map?run=x", name
        assert f"<strong>{role}</strong>" in session.get(f"{server.url}/dans/logout").text
        assert websocket(session, server) == 101
        assert (session.get(f"{server.url}/dans/_stcore/metrics").status_code == 200) == (role == "teacher")
    assert provider.secret not in server.log()


def test_what_streamlit_keeps_opens_nothing_by_itself(server):
    session = requests.Session()
    signs_in(session, server, "bob")
    ticket = session.cookies.get("dans_ticket")
    session.cookies.pop("dans_ticket")
    assert session.cookies.get("_streamlit_user") and websocket(session, server) == 403
    assert session.get(f"{server.url}/dans/_stcore/health").status_code == 401
    session.cookies.set("dans_ticket", ticket, path="/dans")
    assert websocket(session, server) == 101


def test_who_signs_out_is_out_here_and_at_the_provider(server, provider):
    session = requests.Session()
    signs_in(session, server, "bob")
    kept = requests.Session()
    kept.cookies.update(session.cookies)
    provider.signed_out.clear()
    answer = session.post(f"{server.url}/dans/logout")
    assert 'content="0; url=/dans/auth/logout"' in answer.text
    answer = session.get(f"{server.url}/dans/auth/logout", headers={"Accept": "text/html"})
    assert provider.signed_out == ["id-of-bob"] and answer.url == f"{server.url}/dans/"
    assert ">Sign in</a>" in answer.text and answer.status_code == 401
    # Whoever kept the cookies has nothing of them.
    assert websocket(kept, server) == 403


@pytest.mark.parametrize(
    "name, said",
    [
        ("cleo", "This server does not let cleo@elsewhere.example in."),
        ("mallory", "The sign-in service has no verified e-mail address of yours to know you by."),
        ("stranger", "The sign-in service did not let you in."),
    ],
)
def test_others_hear_why_they_stay_out(server, name, said):
    session = requests.Session()
    answer = signs_in(session, server, name)
    assert answer.status_code == 403 and said.casefold() in answer.text.casefold()
    assert not {"dans_ticket", "_streamlit_user"} & set(session.cookies.keys())
    assert websocket(session, server) == 403


def test_a_secret_that_is_not_right_any_more_is_told(server, provider):
    server.forget_log()
    right, provider.secret = provider.secret, "another"
    try:
        answer = signs_in(requests.Session(), server, "bob")
    finally:
        provider.secret = right
    assert answer.status_code == 403 and "the log of this server has the reason" in answer.text
    assert "invalid_client" in server.log() and "Traceback" not in server.log()
    assert right not in server.log()


def test_an_answer_that_no_one_asked_for_lets_no_one_in(server, provider):
    """A link with a code of another's would sign its reader in as them."""
    session = requests.Session()
    form = session.get(f"{server.url}/dans/sign-in")
    answer = session.post(form.url, {**dict(fields(form.text)), "name": "ada"}, allow_redirects=False)
    other = requests.Session()
    assert other.get(answer.headers["location"]).status_code == 403
    assert "dans_ticket" not in other.cookies


@pytest.mark.parametrize("where", ["//evil.example", "https://evil.example", "/dans\\evil", "/elsewhere", ""])
def test_after_signing_in_one_stays_here(server, where):
    assert signs_in(requests.Session(), server, "bob", where).url == f"{server.url}/dans/"


# --- settings -------------------------------------------------------------------------------------------------------

SETTINGS = {
    "provider": '"https://id.example.org/realms/school"',
    "client_id": '"dans"',
    "client_secret": '"never-shown"',
    "address": '"https://lab.example.org/dans"',
    "people": '["*@example.org"]',
}


def written(tmp_path: Path, **instead: str) -> Path:
    """The file with other settings; "" leaves one out."""
    file = tmp_path / "oidc.toml"
    lines = (f"{name} = {value}" for name, value in (SETTINGS | instead).items() if value)
    file.write_text("\n".join(lines))
    return file


def test_a_file_says_all_that_is_needed(tmp_path, monkeypatch):
    found = sign_in.read(
        written(tmp_path, provider='"https://id.example.org/.well-known/openid-configuration"')
    )
    assert found.provider == "https://id.example.org" and found.path == "/dans"
    assert found.callback == "https://lab.example.org/dans/oauth2callback"
    assert "never-shown" not in repr(found)
    monkeypatch.setenv(SECRET_VARIABLE, "from-the-variable")
    assert sign_in.read(written(tmp_path, client_secret="")).client_secret == "from-the-variable"
    # The processes that the server starts do not see it.
    assert SECRET_VARIABLE not in os.environ


@pytest.mark.parametrize(
    "instead, said",
    [
        ({"client_secret": ""}, "lacks client_secret"),
        ({"people": ""}, "lacks people"),
        ({"people": '"ada@example.org"'}, "a list of e-mail addresses"),
        ({"people": '["example.org"]'}, "a list of e-mail addresses"),
        ({"provider": '"http://id.example.org"'}, "expected the address of the provider"),
        ({"provider": "3"}, "a line of text"),
        ({"address": '"lab.example.org"'}, "expected where people open the app"),
        ({"address": '"https://lab.example.org:x/"'}, "expected where people open the app"),
        ({"teacher": '["ada@example.org"]'}, "no setting 'teacher'"),
        ({"client_id": "[" * 99}, "oidc.toml is not TOML"),
    ],
)
def test_a_file_that_lacks_something_does_not_start(tmp_path, capsys, instead, said):
    assert cli.main(["serve", "--oidc-file", str(written(tmp_path, **instead))]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line and len(line) < 300 + len(str(tmp_path))
    assert "never-shown" not in line


def test_a_provider_that_is_none_does_not_start(tmp_path, capsys, provider):
    file = tmp_path / "oidc.toml"
    for settings, said in (
        (provider.settings("http://127.0.0.1:1", client_secret="wrong"), "does not accept client_id 'dans'"),
        (provider.settings("http://127.0.0.1:1", provider=f"{provider.url}/x"), "does not describe a provider"),
        (provider.settings("http://127.0.0.1:1", provider=provider.url.replace("127.0.0.1", "localhost")),
         f"calls itself {provider.url}"),
        (provider.settings("http://127.0.0.1:1", provider=f"http://127.0.0.1:{free_port()}"), "no connection"),
    ):  # fmt: skip
        file.write_text(settings)
        assert cli.main(["serve", "--oidc-file", str(file)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and said in line and provider.secret not in line


def test_two_who_say_who_asks_do_not_start(tmp_path, capsys):
    options = [
        "--oidc-file",
        str(written(tmp_path)),
        "--behind-proxy",
        "127.0.0.1",
        "--user-header",
        "X-User",
    ]
    assert cli.main(["serve", *options]) == 2
    assert "give one of them" in capsys.readouterr().err


def who(**claims: object) -> dict[str, object]:
    """What a provider says of Bob, and this."""
    return {"iss": "https://id", "sub": "1", "email": "bob@example.org", "email_verified": True, **claims}


def test_a_role_and_an_id_are_told_by_what_is_verified():
    house = SignIn("https://id", "dans", "x", "https://lab", ("*@example.org",), ("ada@example.org",), "role")
    bob = house.visitor(who(), "student")
    assert bob.role == "student" and house.visitor(who(email="BOB@example.org"), "student") == bob
    assert house.visitor(who(sub="2"), "student").id != bob.id
    assert house.visitor(who(role="viewer"), "student").role == "viewer"
    assert house.visitor(who(role=["root", "student"]), "viewer").role == "student"
    assert house.visitor(who(role="root"), "viewer").role == "viewer"
    for claims in (
        who(sub=None),
        who(email_verified="true"),
        who(email_verified=None),
        who(email="bob@example.org.evil.example"),
        who(email="bob@sub.example.org"),
        who(email=["bob@example.org"]),
    ):
        with pytest.raises(InputError):
            house.visitor(claims, "student")
    everyone = dataclasses.replace(house, people=("*",))
    assert everyone.visitor(who(email=None), "viewer").role == "viewer"
    assert everyone.visitor(who(email="ada@example.org", email_verified=False), "viewer").role == "viewer"


def test_who_comes_by_a_code_after_a_person_is_not_that_person():
    person = SignIn("https://id", "dans", "x", "https://lab", ("*",)).visitor(who(), "student")
    assert Ticket.new("student", 2_000, Ticket(person, 1_000)).visitor.id != person.id


def test_another_list_of_people_ends_the_tickets():
    key = b"k" * 32
    before = SignIn("https://id", "dans", "x", "https://lab", ("*",), ("ada@example.org",))
    after = dataclasses.replace(before, teachers=())
    keys = {Sharing(sign_in=each, key=key).ticket_key for each in (before, after)}
    assert len(keys) == 2
