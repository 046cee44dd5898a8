"""What the stops of Step say: short sentences, and formulas that add up with the numbers in them."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest

from dans_app.step import stops
from dans_core import Config
from dans_lab.presets import PRESETS
from dans_lab.stepping.measured import Measure
from dans_lab.stepping.relived import Relived

SMALL = {"dim": 16, "epochs": 6, "warmup_epochs": 2, "play_every": 1, "negatives": 8}
CASES = {
    "entities": {},
    "vectors": PRESETS["fakes-as-negatives"],
    "rotate": {"decoder": "rotate", "loss": "bce"},
    "weights": {"adv_weight": 0.5, "ce_weight": 2.0, "aux_weight_g": 0.3},
    "as released": PRESETS["released-faults"],
    "no FiLM, no D_aux": {"film": "none", "aux_weight": 0.0},
    "many updates": {"k_g": 2, "k_d": 3},
}
HEADS = ("rotate", "weights")
"""Cases in which a head is asked for."""


@pytest.fixture(scope="module", params=CASES)
def round_(request, nations):
    config = Config(**{**CASES[request.param], **SMALL})
    live = Relived(nations, config)
    live.reach(2)
    head, relation, tail = nations.train[100].tolist()
    triplet = head, relation, tail
    if request.param in HEADS:
        triplet = tail, relation + nations.num_relations, head
    found = json.loads(
        json.dumps(dataclasses.asdict(Measure(nations, config).measure(live.rounds[2], triplet)))
    )
    return found, config, stops.stops(found, triplet, nations, config)


def worth(text: str) -> float:
    """What a part of a formula comes to that is numbers alone."""
    plain = text.replace("−", "-").replace("·", "*").replace("½ ", "0.5 * ").replace("¼ ", "0.25 * ")
    plain = re.sub(r"log ([\d.]+)", r"log(\1)", plain.replace(",", ""))
    return float(eval(plain, {"log": math.log}))


def test_there_are_twelve_to_fifteen_stops_for_both_pathways(round_):
    _, config, told = round_
    assert len(told) == len(stops.kinds(config))
    if len(config.fakes) == 2:
        assert 12 <= len(told) <= 15
    assert [stop.stage for stop in told] == [stage for stage, _ in stops.kinds(config)]


def test_a_stop_has_two_sentences_at_most(round_):
    for stop in round_[2]:
        assert 1 <= len(re.findall(r"[.:](?= [A-Z]|$)", stop.text)) <= 2, stop.text
        assert stop.text.endswith(".") and stop.title and stop.formula


def test_a_loss_that_rises_gets_a_word(round_, nations):
    found, config, told = round_
    trained = found["trained"]
    assert ("may rise" in told[-1].text) == (trained["loss_after"] > trained["loss_before"])
    head, relation, tail = nations.train[100].tolist()
    for after in (-1.0, 1.0):
        other = trained | {"loss_after": trained["loss_before"] + after}
        last = stops.stops(found | {"trained": other}, (head, relation, tail), nations, config)[-1]
        assert ("as that of this one did" in last.text) == (after > 0)


def test_what_stands_in_a_formula_is_explained(round_):
    for stop in round_[2]:
        named = " ".join(name for name, _ in stops.letters(stop.formula))
        assert ("e_r⁻¹" in stop.formula) == ("e_r⁻¹" in named)
        for name in re.findall(
            r"D_adv|D_aux|L_G|L_D|L_adv|L_aux|e_[htr]|ẽ|σ|CE|N_s|γ|(?<!\w)[pms]\(", stop.formula
        ):
            assert name in named, (stop.formula, named)


def test_formulas_add_up(round_):
    added = 0
    for stop in round_[2]:
        sides = [side for part in re.split(r",  |:  ", stop.formula) for side in re.split(r" = ", part)]
        numbers = []
        for side in sides:
            if re.fullmatch(r"(?:[-−+·/()½¼\d., ]|log)+", side) and re.search(r"\d", side):
                numbers.append(worth(side))
        if "→" in stop.formula:
            before, after, by = (
                float(text.replace("−", "-").replace("+", ""))
                for text in re.search(r"(\S+) → (\S+) \((\S+)\)", stop.formula).groups()
            )
            assert after - before == pytest.approx(by, abs=2e-3 * max(1, abs(after)))
            added += 1
        if " ∝ " in stop.formula:
            continue
        if stop.label in ("Query", "Beliefs", "Pull of L_G", "D_adv", "D_aux", "Loss"):
            first, last = numbers[-2:]
            assert first == pytest.approx(last, rel=5e-3, abs=5e-3), stop.formula
            added += 1
    assert added >= 8


def test_formulas_end_at_what_was_measured(round_):
    found, _, told = round_
    at = {(stop.stage, stop.label): stop for stop in told}
    ends = {
        ("encode", "Query"): found["encoded"]["score"],
        ("encode", "Beliefs"): found["encoded"]["belief"],
        ("D", "D_adv"): found["judged"][0]["adversarial"],
        ("base", "Loss"): found["trained"]["loss_before"],
    }
    ends |= {(name, "Pull of L_G"): played["before"][0]["loss"] for name, played in found["played"].items()}
    if found["judged"][0]["auxiliary"] is not None:
        ends["D", "D_aux"] = found["judged"][0]["auxiliary"]
    for key, value in ends.items():
        assert at[key].formula.endswith(f"= {stops.figure(value)}")
    moves = {
        ("D", "Update"): [opinion["loss"] for opinion in found["judged"]],
        ("base", "Update"): [found["trained"]["score_before"], found["trained"]["score_after"]],
    }
    for name, played in found["played"].items():
        moves[name, "Update"] = [played["loss_before"], played["loss_after"]]
    for key, (before, after) in moves.items():
        assert at[key].formula.endswith(stops.moved(before, after))


def test_only_the_last_stop_of_a_stage_tells_what_came_after(round_):
    for stop in round_[2]:
        over = stop.label == "Update"
        assert all(bool(change.after) == over for change in stop.changes)
        assert any("→" in cell for row in stop.table.rows for cell in row) == over
        assert all(len(row) == len(stop.table.head) for row in stop.table.rows)


def test_changes_and_tables_hold_what_was_measured(round_):
    found, _, told = round_
    for stop in told:
        if stop.label != "Update":
            continue
        first = stop.changes[0]
        if stop.stage in found["played"]:
            played = found["played"][stop.stage]
            for name, change in (("loss", "L_G"), ("d_adv", "D_adv"), ("score", "Score")):
                shown = next(each for each in stop.changes if each.name == change)
                for side, text in (("before", shown.before), ("after", shown.after)):
                    values = [fake[name] for fake in played[side]]
                    assert text == stops.figure(sum(values) / len(values))
            row = next(row for row in stop.table.rows if row[0] == stop.stage)
            before, after = played["before"][0], played["after"][0]
            assert row[3] == f"{stops.figure(before['d_adv'])} → {stops.figure(after['d_adv'])}"
        if stop.stage == "D":
            assert (first.before, first.after) == tuple(
                stops.figure(each["real"]) for each in found["judged"]
            )
            name = next(iter(found["played"]))
            opinions = [each["fakes"][name][0] for each in found["judged"]]
            assert stop.table.rows[0][3] == " → ".join(map(stops.figure, opinions))
        if stop.stage == "base":
            trained = found["trained"]
            assert (first.before, first.after) == tuple(
                stops.figure(trained[f"loss_{side}"]) for side in ("before", "after")
            )
            assert len(stop.table.rows) == len(trained["negatives"])


def test_each_head_of_d_is_shown_with_its_own_opinion(round_):
    found, _, told = round_
    for stop in told:
        if stop.label not in ("D_adv", "D_aux"):
            continue
        assert all(change.name.startswith(f"{stop.label}(") for change in stop.changes)
        opinion = found["judged"][0]
        of_fakes = opinion["pathway" if stop.label == "D_aux" else "fakes"]
        means = [stops.figure(sum(values) / len(values)) for values in of_fakes.values()]
        assert [change.before for change in stop.changes][-len(means) :] == means


def test_tables_show_what_holds_at_their_stop(round_):
    found, _, told = round_
    has_aux = bool(found["judged"][0]["pathway"])
    for stop in told:
        if stop.label == "Update":
            continue
        if stop.stage == "base":
            given = sorted(found["trained"]["negatives"], key=lambda n: -n["weight"])
            column = stop.table.head.index("Score")
            assert [row[column] for row in stop.table.rows] == [stops.figure(n["before"]) for n in given]
            continue
        rows = iter(stop.table.rows)
        for name, played in found["played"].items():
            names = list(found["played"])
            over = stop.stage == "D" or (stop.stage in names and names.index(name) < names.index(stop.stage))
            for k, fake in enumerate(played["after" if over else "before"]):
                opinions = [fake["d_adv"], *([fake["d_aux"]] if has_aux else [])]
                if stop.stage == "D":
                    before = found["judged"][0]
                    opinions = [before["fakes"][name][k], *([before["pathway"][name][k]] if has_aux else [])]
                assert next(rows)[3:] == [stops.figure(each) for each in (*opinions, fake["score"])]


def test_the_map_follows_the_stages(round_):
    found, config, told = round_
    for stop in told:
        view = stop.view
        assert set(view.fakes) == set(found["played"])
        assert view.moved == (stop.stage == "base" and stop.label == "Update")
        assert bool(view.ghosts) == (stop.stage in config.fakes and stop.label == "Update")
        if stop.stage == "encode":
            assert not any(view.fakes.values())
        if stop.stage in ("D", "base"):
            assert all(view.fakes.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.22468, "−0.2247"),
        (12345.6, "12,346"),
        (1e-6, "<0.0001"),
        (-1e-6, "−<0.0001"),
        (5.4, "5.400"),
        (1234.5, "1234"),
        (0.5, "0.5000"),
    ],
)
def test_numbers_have_four_digits_and_a_true_minus(value, text):
    assert stops.figure(value) == text
