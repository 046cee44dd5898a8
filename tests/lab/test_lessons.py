"""Lessons: how a file is read and refused, checks on numbers, and what the runs of every lesson really measure."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_data.errors import InputError
from dans_lab.lessons import author, checks
from dans_lab.lessons.cards import cards
from dans_lab.lessons.files import FOLDER, lessons, read_lesson
from dans_lab.lessons.measuring import find, measure
from dans_lab.runs.run import RECORDED, recorded_runs

EVERY = lessons()
NAMES = [lesson.name for lesson in EVERY]


def test_there_are_eight_in_order():
    assert NAMES == [
        "negatives", "false-negatives", "pathways", "film", "d-aux", "hardness", "collapse", "does-it-help",
    ]  # fmt: skip


def test_right_answers_do_not_stand_in_one_place():
    places = [
        step.right(lesson.head.measured)[0] for lesson in EVERY for step in lesson.steps if step.options
    ]
    assert len(set(places)) > 1


def test_cards_tell_a_teacher_what_to_expect():
    found = cards()
    assert [card.link for card in found] == [f"lessons?lesson={name}" for name in NAMES]
    collapse = found[NAMES.index("collapse")]
    assert collapse.measured == "10 entities"
    assert collapse.answers[0].expected.startswith("By the variety of the fakes")
    assert "{" not in "".join(answer.because for card in found for answer in card.answers)
    assert all(card.minutes and card.before and card.answers for card in found)


TEXT = (FOLDER / "negatives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "line_of", "words"),
    [
        ("minutes = 6", "minutes = six", "minutes = six", "is not TOML"),
        ("minutes = 6", 'minutes = "6"', 'minutes = "6"', "minutes"),
        ("order = 1\n", "", None, "order"),
        ("epochs = 60", "epochs = 0", "[runs.random]", "epochs = 0: must be a whole number, at least 1"),
        ("epochs = 60", "epoch = 60", "[runs.random]", "no setting 'epoch'; did you mean 'epochs'?"),
        (
            'of = "diagnostics.random_outscores_positive"\nat',
            'of = "diagnostics.randm_score"\nat',
            "[figures.first]",
            "did you mean 'diagnostics.random_score'",
        ),
        ('at = "first"', 'at = "begin"', "[figures.first]", "must be one of first"),
        ("first > 0.2 and late < 0.1", "frist > 0.2", 'promise = "frist > 0.2"', "did you mean 'first'?"),
        ("first > 0.2 and late < 0.1", "late > 0.5", "[measured]", "do not keep the promise"),
        ("facts = 0.0", "fact = 0.0", "[measured]", "'fact' is not in both"),
        ("## read: A wrong", "## tell: A wrong", "## tell: A wrong answer to learn from", "KIND is one of read"),
        ("scale: 0 … 100 %", "scale: 100 … 0 %", "figure: late", "two ascending numbers"),
        ("figure: late\n", "", None, "needs a line “figure: …”"),
        ("open: triplet", "open: triplets", "## look: One fact and its random negatives", "is no screen"),
        ("{facts} of the", "{fact} of the", None, "{fact} is no figure"),
        ("- [late >= 0.35] As", "- [late >= 0] As", "## ask: Late in training", "2 of 3 are") ,
        ("- [late < 0.1] Little", "- [import os] Little", None, "is not a check"),
        ("## run: Train it", "## read: Train it\n\n## run: Again\n\n## run: Train it", None, "at most one run"),
    ],
)  # fmt: skip
def test_a_malformed_lesson_gets_one_sentence_with_its_line(
    tmp_path: Path, old: str, new: str, line_of: str | None, words: str
):
    assert old in TEXT
    file = tmp_path / "negatives.md"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_lesson(file)
    message = str(caught.value)
    assert words in message and "\n" not in message
    line = int(message.partition(", line ")[2].partition(":")[0])
    lines = file.read_text(encoding="utf-8").splitlines()
    assert 1 <= line <= len(lines)
    if line_of is not None:
        assert any(lines[at].startswith(line_of) for at in (line - 1, line - 2)), lines[line - 1]


def test_what_is_no_text_or_has_no_head_is_refused(tmp_path: Path):
    for name, content in {"a.md": b"\xff\xfe", "b.md": b"# Hello", "C D.md": TEXT.encode()}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=r"UTF-8|begins with its head|name of a lesson"):
            read_lesson(tmp_path / name)


def test_checks_compute_and_refuse():
    figures = {"late": 0.03, "early": 0.4}
    assert checks.holds("late < 0.1 and early > 2 * late", figures)
    assert not checks.holds("not (0 < late < 0.1) or abs(late - early) < 0.1", figures)
    assert checks.value("-(early - late) / 2", figures) == pytest.approx(-0.185)
    assert checks.names("abs(late) < early") == {"late", "early"}
    for wrong in (
        "__import__('os')",
        "late.real",
        "[1]",
        "late <",
        "lambda: 1",
        "late if 1 else 2",
        "2 ** 99",
        "True",
    ):
        with pytest.raises(InputError, match="is not a check"):
            checks.value(wrong, figures)
    with pytest.raises(InputError, match="divides by 0"):
        checks.value("1 / (late - late)", figures)
    with pytest.raises(InputError, match="not measured"):
        checks.value("soon", figures)


@given(some.text(max_size=40))
def test_no_text_makes_a_check_fail_otherwise(text: str):
    with contextlib.suppress(InputError):
        checks.value(text, {"a": 1.0})


def test_an_author_gets_measured_figures_written(tmp_path: Path):
    file = tmp_path / "does-it-help.md"
    text = (FOLDER / "does-it-help.md").read_text(encoding="utf-8")
    file.write_text(text.replace("gain = 0.007", "gain = 0.017"), encoding="utf-8")
    author.write(file)
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.long
def test_every_lesson_keeps_its_promise_and_its_answers_are_right_once_its_runs_are_trained_again():
    # All in one test, since lessons share runs, and processes that test share none.
    for lesson in EVERY:
        figures = measure(lesson, {name: author.train(run) for name, run in lesson.runs.items()})
        assert checks.holds(lesson.head.promise, figures), lesson.name
        for step in lesson.steps:
            assert step.right(figures) == step.right(lesson.head.measured), f"{lesson.name}: {step.title}"
            assert not step.options or len(step.right(figures)) == 1


def test_a_recorded_run_is_found_and_measured():
    lesson = read_lesson(FOLDER / "negatives.md")
    wanted = lesson.runs["random"]
    assert find(wanted, recorded_runs()) is None
    recorded = type(wanted)("umls", None, "umls-complex-uniform")
    run = find(recorded, [])
    assert run is not None and run.path == RECORDED / "umls-complex-uniform"
    figures = measure(lesson, {"random": author.train(recorded)})
    assert 0 < figures["late"] < 0.1
