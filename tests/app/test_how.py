"""The screen How it works without a browser: its parts, their lines of code, their numbers, its address."""

from __future__ import annotations

import ast
import re
from functools import partial
from pathlib import Path

import pytest

from dans_app.how import formulas, panel, seen
from dans_app.how import parts as how_parts
from dans_app.how.code import code
from dans_app.how.drawing import TRAINS, payload
from dans_app.how.prose import prose
from dans_app.how.seen import Seen
from dans_app.shared.run_history import RunHistory
from dans_core import Config, KnowledgeGraph
from dans_core.declared import DECLARED
from dans_core.events import Losses
from dans_lab.runs.run import recorded_runs
from tests import small_run

screen = partial(small_run.screen, "how.py")
KG = KnowledgeGraph.load("nations")

CONFIGS = {
    "default": Config(),
    "vectors": Config(reading="vectors", loss="bce"),
    "generated alone": Config(reading="vectors", random_negatives=False),
    "one pathway": Config(pathways="G_R"),
    "no FiLM": Config(film="none"),
    "frozen FiLM": Config(film="frozen"),
    "no D_aux": Config(aux_weight=0),
    "AC-GAN": Config(aux_weight_g=0.3),
    "conditional D": Config(conditional_d=True, decoder="rotate"),
    "relative noise": Config(sigma_relative=True, decoder="distmult", play_every=1, k_d=3),
    **{name: Config(sampler=name) for name in DECLARED if name != "dans"},
}


def losses(epoch: int = 7) -> Losses:
    return Losses(
        epoch, base=2.5, warm_up=False, seconds=0.1, g_e=5.0, g_r=4.0, film_e=0.5, film_r=0.25, ce_e=4.0, ce_r=3.0,
        d_adv=0.6, d_aux=0.4, d_real=0.7, d_fake_e=0.3, d_fake_r=0.2, aux_accuracy=0.9,
    )  # fmt: skip


def shown(config: Config, played: bool = True) -> Seen:
    told = losses() if played else None
    return Seen(config, told, told, None, KG)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_part_has_all_that_it_opens(config: Config) -> None:
    parts = how_parts.parts(config)
    for part in parts.values():
        assert part.says.endswith(".") and set(part.stages) <= set(how_parts.STAGES)
        assert set(part.settings) <= set(Config.model_fields)
        for piece in panel.pieces(part):
            assert ast.parse(piece.text) and Path(piece.file).exists()
        for told in (shown(config), shown(config, played=False), Seen(config, None, None, None, None)):
            formula = formulas.formula(part.name, told)
            for line in (formula.plain, *formula.numbers):
                assert line.count("{") == line.count("}") and "None" not in line
    for told in (shown(config), Seen(config, None, None, None, None)):
        data = payload(parts, seen.notes(told), prose(config), None, config)
        assert [part["id"] for part in data["parts"]] == list(parts)


def test_the_lines_are_those_of_the_file() -> None:
    found = code("gan:Pathway.forward")
    lines = Path("dans_core/gan.py").read_text().splitlines()
    assert found.file == "dans_core/gan.py"
    assert found.text.startswith("def forward(self, start")
    assert [line.strip() for line in found.text.splitlines()] == [
        line.strip() for line in lines[found.first - 1 : found.last]
    ]
    assert code("batch:Batch.of_triplets").text.startswith("@classmethod")
    with pytest.raises(KeyError):
        code("gan:Pathway.backward")


def test_words_and_losses_speak_of_parts_that_there_are() -> None:
    parts = set(how_parts.parts(Config()))
    for config in (Config(), Config(reading="vectors")):
        spoken = {each[0] for line in prose(config) for each in line if isinstance(each, tuple)}
        assert spoken == parts
    assert {*TRAINS, *(name for moved in TRAINS.values() for name in moved)} <= parts


@pytest.mark.parametrize(
    ("config", "absent"),
    [
        (CONFIGS["default"], set()),
        (CONFIGS["no FiLM"], {"film"}),
        (CONFIGS["one pathway"], {"g_e", "d_aux"}),
        (CONFIGS["no D_aux"], {"d_aux"}),
        (CONFIGS["generated alone"], {"random"}),
        (
            CONFIGS["uniform"],
            {"noise", "film", "g_e", "g_r", "d", "d_adv", "d_aux", "l_d", "l_g", "reading", "stops"},
        ),
    ],
)
def test_what_a_run_does_not_have_says_why(config: Config, absent: set[str]) -> None:
    assert {part.name for part in how_parts.parts(config).values() if part.absent} == absent


def test_losses_add_up_to_what_the_run_told() -> None:
    told = shown(Config(film_weight=0.1, ce_weight=0.5, aux_weight=0.25))
    assert told.fooling("G_E") == pytest.approx(5.0 - 0.5 * 4.0 - 0.1 * 0.5)
    assert formulas.formula("l_g", told).numbers[0] == (
        r"L_{G_E} = 2.950 + 0.5 \cdot 4.000 + 0.1 \cdot 0.500 \\ {} = 5.000"
    )
    assert formulas.formula("l_d", told).numbers == (r"L_D = 0.600 + 0.25 \cdot 0.400 = 0.700",)
    assert formulas.formula("l_d", told).epoch == 7


def test_the_recorded_run_stands_in_the_formulas_as_its_events_tell_it() -> None:
    run = next(run for run in recorded_runs() if run.config.fakes)
    history = RunHistory(run.id).follow(run)
    played = [event for event in run.follow(None).events if isinstance(event, Losses) and event.played][-1]
    told = seen.seen(run.config, history, None)
    formula = formulas.formula("l_g", told)
    assert formula.epoch == played.epoch
    assert formula.numbers[1].endswith(f"= {played.g_r:.3f}")
    # What is left of L_G is the mean of −log D_adv(ẽ), by Jensen not below −log of the mean.
    assert told.fooling("G_E") > 0
    assert formulas.formula("d_aux", told).numbers == (rf"L_{{aux}} = {played.d_aux:.3f}",)


def test_every_part_can_be_seen_on_screens_that_there_are() -> None:
    titles = set(re.findall('title="([^"]+)"', Path("dans_app/shared/shell.py").read_text()))
    assert how_parts.ELSEWHERE.keys() == how_parts.parts(Config()).keys()
    assert {title for screens in how_parts.ELSEWHERE.values() for title in screens} <= titles


def test_settings_are_those_that_count_in_the_run() -> None:
    config = Config(reading="vectors")
    assert "tau" not in how_parts.settings(how_parts.parts(config)["reading"], config)
    assert "tau" in how_parts.settings(how_parts.parts(Config())["reading"], Config())
    lines = panel.setting_lines(how_parts.parts(Config())["noise"], Config())
    assert lines[0].startswith("**Noise \\(σ\\)** 0\\.5")


def test_a_part_of_the_address_is_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    app = screen(part="g_e")
    assert app.header[0].value == "G_E"
    assert "L_{G_E} = " in app.latex[1].value
    next(each for each in app.button if each.label == "Next part").click().run()
    assert app.query_params["part"] == "g_r"
    assert app.header[0].value == "G_R"


def test_a_part_that_there_is_not_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    app = screen(part="<b>nose</b>")
    assert [each.value for each in app.warning] == [
        "The drawing has no part “\\<b\\>nose\\</b\\>”; choose one of those in it."
    ]
    assert "part" not in app.query_params


def test_a_run_without_a_gan_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    app = screen(run="umls-complex-uniform", part="d_adv")
    assert app.info[0].value == "This run takes its negatives from Uniform, so it has no G and no D\\."
    assert app.header[0].value == "D_adv"
