"""What a visitor of a shared server may do, asked where it is done."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from dans_app.server import graph, jobs, keeping, studies
from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.triplets import Dataset
from dans_lab import cli
from dans_lab.export.run_export import config_json
from dans_lab.runs import trash
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.writer import RunWriter
from dans_lab.sharing import codes, tickets
from dans_lab.sharing.codes import Code
from dans_lab.sharing.patience import MOST_ADDRESSES, SECONDS, TRIES, Patience
from dans_lab.sharing.roles import Visitor
from dans_lab.sharing.settings import Sharing, network, share
from dans_lab.sharing.tickets import Ticket
from dans_lab.study.folder import Study
from tests import small_run
from tests.test_house import ROOT

KEY = b"k" * 32


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Iterator[Run]:
    """A small run on a server that is shared; whoever asks outside a session is nobody, and may look."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    run = small_run.trained(tmp_path, "small")
    share(Sharing(codes={"student": Code.of("hello-class")}))
    yield run
    share(None)


def test_who_is_nobody_may_look_and_do_nothing(shared, tmp_path):
    data = Dataset("mine", {"train": [], "valid": [], "test": []}, split_seed=None)
    study = Study(tmp_path / "studies" / "none")
    for deed in (
        lambda: jobs.pool().start(Config(epochs=1), "nations"),
        lambda: jobs.pool().resume(shared),
        lambda: jobs.pool().train_on(shared, shared.config),
        lambda: jobs.ask(shared, stop=True),
        lambda: studies.conductors().go_on(study),
        lambda: studies.pause(study),
        lambda: keeping.delete(["small"]),
        lambda: keeping.describe(shared, "mine", ""),
        lambda: keeping.remove_for_good([]),
        lambda: keeping.clear_cache(),
        lambda: keeping.add_data(data, "mine", ""),
        lambda: keeping.remove_data("mine"),
        lambda: keeping.download("fb15k-237", lambda came, total: None),
    ):
        with pytest.raises(InputError, match="you are here as a viewer"):
            deed()
    assert [run.id for run in list_runs()] == ["small"]
    [thrown] = trash.delete(["small"])
    with pytest.raises(InputError, match="restoring run small is for students and teachers"):
        keeping.restore(thrown.key)


def test_a_run_is_its_owners_and_the_teachers():
    one, other = Visitor("a", "student"), Visitor("b", "student")
    one.need_own("a", "stopping it")
    Visitor("c", "teacher").need_own("a", "stopping it")
    for visitor, owner in (
        (other, "a"),
        (one, ""),
        (Visitor("", "student"), ""),
        (Visitor("a", "viewer"), "a"),
    ):
        with pytest.raises(InputError, match=r"^stopping it is for"):
            visitor.need_own(owner, "stopping it")


def test_whose_a_run_is_leaves_the_machine_with_no_export(tmp_path):
    kg = graph.load("nations")
    with RunWriter.create(tmp_path, "a", Config(), kg.name, kg.hash, "nations", owner="user:ada") as writer:
        run = writer.run
    assert run.meta.owner == "user:ada"
    assert b"ada" in (run.path / "config.json").read_bytes() and b"ada" not in config_json(run)


DEEDS = re.compile(
    r"\.request\(|trash\.(delete|restore|remove_for_good|clear_cache)\b|write_about|\bown\.(add|remove)\b|fetch\.fetch"
    r"|session\.ask|RunWriter|subprocess"
)


def test_screens_do_nothing_past_the_question_who_asks():
    """Deeds stand in `dans_app/server`, where each asks first."""
    files = [*ROOT.glob("pages/*.py"), *ROOT.glob("dans_app/*/*.py")]
    doing = {file.parent.name for file in files if DEEDS.search(file.read_text(encoding="utf-8"))}
    assert doing == {"server"}


# --- codes and tickets ----------------------------------------------------------------------------------------------


def test_a_code_is_kept_as_a_hash(tmp_path, capsys):
    file = tmp_path / "code"
    assert cli.main(["access-code", str(file)]) == 0
    shown = capsys.readouterr().out.strip()
    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){2}", shown) and shown not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    kept = codes.read(file)
    assert (
        kept.fits(shown) and kept.fits(f" {shown}\n") and not kept.fits(shown.upper()) and not kept.fits("")
    )
    assert cli.main(["access-code", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "short", "a\nb" * 9, "x" * 201, "scrypt$a$b", "scrypt$" + "A" * 70])
def test_what_is_no_code_is_told(text):
    with pytest.raises(InputError, match=r"^the file"):
        codes.parse(text, "the file")


def test_a_ticket_is_read_with_its_key_alone():
    ticket = Ticket.new("student", 1_000)
    words = ticket.signed(KEY)
    assert tickets.read(words, KEY) == ticket
    assert ticket.is_valid(1_000 + tickets.SECONDS - 1) and not ticket.is_valid(1_000 + tickets.SECONDS)
    assert not ticket.is_valid(0)
    for forged in (
        words.replace("student", "teacher"),
        words[:-1],
        words + "0",
        words.upper(),
        "",
        "é.student.1." + "0" * 64,
    ):
        assert tickets.read(forged, KEY) is None
    assert tickets.read(words, b"x" * 32) is None
    # Who comes again in the same role has what was theirs, and in another one has not.
    assert Ticket.new("student", 2_000, ticket).visitor == ticket.visitor
    assert Ticket.new("teacher", 2_000, ticket).visitor.id != ticket.visitor.id


def test_another_code_ends_the_tickets_of_the_one_before(tmp_path):
    key = tickets.kept_key(tmp_path / "key")
    assert tickets.kept_key(tmp_path / "key") == key
    before, after = (
        Sharing(codes={"student": Code.of(code)}, key=key) for code in ("hello-class", "hello-again")
    )
    assert (
        tickets.read(Ticket.new("student", time.time()).signed(before.ticket_key), after.ticket_key) is None
    )
    (tmp_path / "odd").write_bytes(b"short")
    with pytest.raises(InputError, match="is no key file"):
        tickets.kept_key(tmp_path / "odd")


def test_patience_ends_and_comes_back():
    patience = Patience()
    assert [patience.ask("203.0.113.1", 0.0) for _ in range(TRIES + 2)] == [0] * TRIES + [SECONDS] * 2
    # What is refused costs nothing, or whoever keeps on would never get in.
    assert patience.ask("203.0.113.1", SECONDS + 1) == 0 and patience.ask("203.0.113.1", SECONDS + 1) > 0
    assert patience.ask("203.0.113.2", 0.0) == 0
    assert patience.ask("::ffff:203.0.113.1", SECONDS + 1) > 0
    # A household has 2^64 addresses of IPv6.
    assert [patience.ask(f"2001:db8::{number:x}", 0.0) for number in range(TRIES + 1)][-1] > 0
    right = Patience()
    for _ in range(5 * TRIES):
        assert right.ask("203.0.113.1", 0.0) == 0
        right.give_back("203.0.113.1")


def test_however_many_addresses_come_few_are_remembered():
    patience = Patience()
    for number in range(2 * MOST_ADDRESSES):
        patience.ask(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(patience._used) == MOST_ADDRESSES


def test_a_proxy_is_known_by_its_address():
    sharing = Sharing(proxies=(network("10.0.0.0/24"), network("::1"), network("127.0.0.1")))
    for address, known in {
        "10.0.0.9": True,
        "::ffff:10.0.0.9": True,
        "10.0.1.1": False,
        "::1": True,
        "": False,
        "x": False,
    }.items():
        assert sharing.is_proxy(address) is known
