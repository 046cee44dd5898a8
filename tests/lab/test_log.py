"""The log of a server: one line of JSON a fact, in order, bounded, and without what is nobody's business."""

from __future__ import annotations

import json
import threading

import pytest

from dans_lab import log
from dans_lab.runs.run import RUNS_DIR_VARIABLE


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(log.LOG_VARIABLE, str(tmp_path / "facts.jsonl"))
    return tmp_path / "facts.jsonl"


def test_a_fact_is_a_line_whatever_is_in_it(file):
    log.tell("run ended", run="first\n{}\u2028", epoch=3, seconds=1.23456, reason=None)
    (line,) = file.read_bytes().splitlines()
    told = json.loads(line)
    assert line.isascii() and told["run"] == "first\n{}\u2028"
    assert (told["fact"], told["epoch"], told["seconds"], told["reason"]) == ("run ended", 3, 1.235, None)
    assert told["time"].endswith("+00:00") and told["process"] > 0


def test_no_secret_is_written(file):
    log.tell(
        "asked",
        access_code="open sesame",
        Cookie="abc",
        mirror="https://me:hidden@example.org/x",
        long="x" * 9999,
    )
    written = file.read_text()
    assert not [secret for secret in ("sesame", "abc", "hidden", "me:") if secret in written]
    assert "https://…@example.org/x" in json.loads(written)["mirror"] and len(written) < 800


def test_lines_of_many_do_not_mix_and_the_file_is_put_aside(file, monkeypatch):
    monkeypatch.setattr(log, "LONGEST", 20_000)

    def many(who: int) -> None:
        for number in range(100):
            log.tell("counted", who=who, number=number)

    threads = [threading.Thread(target=many, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    aside = file.with_name("facts.jsonl.1")
    lines = [line for each in (aside, file) if each.exists() for line in each.read_text().splitlines()]
    assert aside.exists() and all(json.loads(line)["fact"] == "counted" for line in lines)
    assert max(each.stat().st_size for each in (aside, file) if each.exists()) < 21_000


def test_what_cannot_be_written_is_no_reason_to_fail(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(log.LOG_VARIABLE, "/proc/none/facts")
    log.tell("lost")
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "link").symlink_to(target)
    monkeypatch.setenv(log.LOG_VARIABLE, str(tmp_path / "link"))
    log.tell("lost")
    assert target.read_text() == ""
    monkeypatch.setenv(log.LOG_VARIABLE, "-")
    log.tell("seen")
    assert json.loads(capsys.readouterr().err)["fact"] == "seen"
    monkeypatch.delenv(log.LOG_VARIABLE)
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path / "none"))
    log.tell("lost")
    assert not (tmp_path / "none").exists()
    (tmp_path / "none").mkdir()
    log.tell("kept")
    assert "kept" in (tmp_path / "none/.cache/log.jsonl").read_text()
