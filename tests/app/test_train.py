"""The Train screen without a browser: what it says and offers, and the parts it is made of."""

import json
import os
import shlex
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.server import graph, jobs
from dans_app.shared import curves, run_state, settings, shell, theme
from dans_app.shared.run_history import Curve, RunHistory, thin
from dans_app.shared.words import markdown_text
from dans_app.train import words
from dans_core.config import Config, matters, parse
from dans_core.declared import DECLARED
from dans_core.events import Diagnostics, Finished, Losses, Ranking
from dans_data.errors import InputError
from dans_data.words import bytes_in_words, seconds_in_words
from dans_lab.budget import speed
from dans_lab.budget.game import cost_of
from dans_lab.export import run_export
from dans_lab.health import HealthWarning
from dans_lab.presets import PRESETS
from dans_lab.runs import machine
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter, versions
from tests import small_run
from tests.sound_pathway import SOUND
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folders for runs, and no recorded run."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()


def losses(epoch: int, warm_up: bool = False, base: float = 0.3) -> Losses:
    gan = {} if warm_up else dict(g_e=0.7, g_r=0.6, film_e=0.1, film_r=0.1, d_adv=0.7, d_aux=0.5)
    return Losses(epoch=epoch, base=base, warm_up=warm_up, seconds=0.05, **gan)


def ranking(epoch: int, mrr: float, best: bool = True) -> Ranking:
    return Ranking(
        epoch=epoch,
        split="valid",
        mrr=mrr,
        hits_at_1=0.5,
        hits_at_3=0.6,
        hits_at_10=0.9,
        ndcg_at_5=0.6,
        best=best,
    )


def make_run(folder: Path, run_id: str, config: Config, state: str = "finished", mrr: float = 0.9) -> Run:
    """A run as a worker would have left it."""
    kg = graph.load("umls")
    with RunWriter.create(folder, run_id, config, kg.name, kg.hash, "umls") as writer:
        for epoch in range(1, config.epochs + 1):
            writer.append(losses(epoch, config.sampler != "dans" or epoch <= config.warmup_epochs))
        writer.append(ranking(config.epochs, mrr))
        if config.sampler == "dans":
            writer.append(HealthWarning(config.epochs, "copies", "G_E", "G_E makes copies.", "Raise σ."))
        writer.append(Finished(config.epochs, config.epochs, mrr, 2.0))
        writer.write_status(
            state, epoch=config.epochs, seconds=0.05 * config.epochs, best_mrr=mrr, best_epoch=config.epochs
        )
        return writer.run


screen = small_run.app


def texts(app: AppTest) -> str:
    return "\n".join(
        item.value for kind in ("markdown", "caption", "header", "title") for item in app.get(kind)
    )


# --- the first screen


HEAVY = ("torch", "torch_geometric", "umap", "numba", "sklearn", "scipy", "pandas")


def imported_by(script: str) -> set[str]:
    """Which of the heavy modules a fresh process holds after this script."""
    script = (
        "import os, sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from dans_app.server import jobs\n"
        "jobs.Pool.warm = lambda self, dataset: None\n"
        f"{script}\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_form_begins_with_the_data_of_the_run_that_is_looked_at_where_nobody_chose():
    def form() -> None:
        from pathlib import Path

        import streamlit as st

        from dans_app.shared import settings
        from dans_lab.runs.run import Run

        place = st.session_state.get("place")
        settings.follow(lambda: Run(Path(place)) if place else None, ["umls", "nations"])
        st.text(st.session_state.get("dataset", "nothing"))

    run = small_run.trained(Path(os.environ["DANS_RUNS_DIR"]), "small")
    for before, shown in (
        ({}, "nothing"),
        ({"place": "/no/such/run"}, "nothing"),
        ({"place": str(run.path)}, "nations"),
        ({"place": str(run.path), "dataset": "umls"}, "umls"),
    ):
        app = AppTest.from_function(form)
        for name, value in before.items():
            app.session_state[name] = value
        assert app.run().text[0].value == shown and not app.exception


def test_the_first_screen_paints_without_what_is_slow_to_import(tmp_path):
    make_run(tmp_path / "runs", "one", Config(epochs=4))
    found = imported_by(
        "app = AppTest.from_file('app.py', default_timeout=300).run()\n"
        "assert not app.exception and app.get('bidi_component'), app.exception"
    )
    assert found == set()


def test_no_screen_brings_torch_or_umap_into_the_server(tmp_path):
    found = imported_by(
        "screens = {'map': 'bidi_component', 'triplet': 'plotly_chart', 'diagnostics': 'plotly_chart',\n"
        "           'compare': 'bidi_component', 'runs': 'dataframe', 'quiz': 'plotly_chart',\n"
        "           'train': 'bidi_component'}\n"
        "for page, done in screens.items():\n"
        "    app = AppTest.from_file(f'pages/{page}.py', default_timeout=300)\n"
        "    app.session_state['dans_ready'] = True\n"
        "    app.run()\n"
        "    assert not app.exception and app.get(done), page"
    )
    assert "pandas" in found
    assert not found & {"torch", "torch_geometric", "umap", "numba", "sklearn"}


def test_with_no_run_at_all_it_says_what_to_do():
    app = screen()
    assert "Nothing has been trained on UMLS here yet" in texts(app)
    assert "Start training" in [button.label for button in app.button]


def test_the_recorded_run_is_there_at_the_first_visit(tmp_path):
    make_run(tmp_path / "runs", "own", Config(epochs=4))
    make_run(tmp_path / "recorded", "umls-complex-dans", Config(epochs=6, seed=3))
    app = screen()
    assert app.query_params["run"] == "umls-complex-dans"
    assert "Recorded run" in texts(app) and "seed 3" in texts(app)
    # Recorded runs can only be looked at.
    assert not {"Pause", "Resume", "Stop"} & {button.label for button in app.button}


def test_the_run_of_the_url_is_shown_with_its_result_and_warnings(tmp_path):
    make_run(tmp_path / "runs", "a", Config(epochs=4))
    make_run(tmp_path / "runs", "b", Config(epochs=4, decoder="rotate"), mrr=0.8125)
    app = screen(run="b")
    assert "RotatE" in texts(app)
    assert "**0.812**" in texts(app) or "**0.813**" in texts(app)
    assert "popularity alone gets 0.678" in texts(app)
    assert [warning.value.split("  \n")[0] for warning in app.warning] == ["G\\_E makes copies\\."]


def test_a_run_that_was_trained_on_another_device_says_so(tmp_path):
    run = make_run(tmp_path / "runs", "a", Config(epochs=4))
    assert "material/memory" not in texts(screen(run="a"))
    stored = json.loads((run.path / "config.json").read_text())
    stored |= {"device": "cuda:0 (A *GPU*)", "precision": "tf32"}
    (run.path / "config.json").write_text(json.dumps(stored))
    assert "cuda\\:0 \\(A \\*GPU\\*\\), tf32" in texts(screen(run="a"))


def test_a_run_on_data_that_are_not_here_is_shown_and_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    with socketserver.TCPServer(("127.0.0.1", 0), None) as server:
        monkeypatch.setenv("DANS_MIRROR", f"http://127.0.0.1:{server.server_address[1]}")
        server.socket.setblocking(False)
        run = make_run(tmp_path / "runs", "a", Config(epochs=4), mrr=0.8125)
        stored = json.loads((run.path / "config.json").read_text())
        (run.path / "config.json").write_text(json.dumps(stored | {"source": "wn18rr"}))
        app = screen(run="a")
        said = texts(app)
        assert "**0.812**" in said or "**0.813**" in said
        sentence = "data set wn18rr is not on this machine; the Data screen downloads it"
        assert f"No twin can be trained here: {sentence}" in shell_unescaped(said)
        assert "Train the twin" not in [button.label for button in app.button] and not app.error
        with pytest.raises(BlockingIOError):
            server.get_request()


# --- what comes in through the URL


@pytest.mark.parametrize(
    "run_id",
    ["no-such-run", "../../etc/passwd", "a" * 500, "<script>alert(1)</script>", "**x**\n# y", "\x00"],
)
def test_a_bad_run_id_gets_one_sentence_and_the_recorded_run(tmp_path, run_id):
    make_run(tmp_path / "recorded", "umls-complex-dans", Config(epochs=4, sampler="uniform"))
    app = screen(run=run_id)
    assert len(app.warning) == 1
    assert app.warning[0].value.endswith("the recorded run is shown instead.")
    assert "<script>" not in app.warning[0].value
    assert app.query_params["run"] == "umls-complex-dans"


@pytest.mark.parametrize("decoder", ["rotate", "RotatE"])
def test_settings_come_from_the_url(decoder):
    app = screen(epochs="120", seed="7", decoder=decoder, set_lr="0.02", set_score_message_edges="false")
    assert not app.warning
    with_url = {name: app.session_state[settings.key(name)] for name in Config.model_fields}
    wanted = Config.model_construct().model_dump() | {
        "epochs": 120, "seed": 7, "decoder": "rotate", "lr": 0.02, "score_message_edges": False,
        **DECLARED["dans"].defaults,
    }  # fmt: skip
    assert with_url == {name: wanted[name] for name in with_url}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "banana"),
        ("epochs", "-3"),
        ("epochs", "1e99"),
        ("decoder", "__import__('os')"),
        ("sampler", "[click](http://x)"),
        ("set_lr", "nan"),
        ("set_lr", "7"),
        ("set_dim", "1"),
        ("set_score_message_edges", "perhaps"),
        ("dataset", "../../etc"),
    ],
)
def test_nonsense_in_the_url_gets_one_sentence_and_the_default(name, value):
    app = screen(**{name: value})
    assert len(app.warning) == 1
    assert "its default stands" in app.warning[0].value
    assert "](http" not in app.warning[0].value
    field = name.removeprefix("set_")
    expected = "umls" if name == "dataset" else settings.default(field)
    assert app.session_state[name] == expected
    assert not start_button(app).disabled


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"epochs": "100", "set_warmup_epochs": "100"}, "must be below epochs"),
        ({"set_dim": "3"}, "a multiple of 2"),
        ({"set_lr": "0"}, "above 0"),
    ],
)
def test_settings_that_cannot_be_trained_cannot_be_started(query, sentence):
    app = screen(**query)
    assert not app.warning
    assert sentence in shell_unescaped(app.error[0].value)
    assert start_button(app).disabled


def start_button(app: AppTest):
    return next(button for button in app.button if button.label == "Start training")


def shell_unescaped(text: str) -> str:
    return text.replace("\\", "")


# --- the widgets of the settings


def widgets(app) -> dict:
    """The widgets of settings, by name, on a page or in a part of it."""
    kinds = ("number_input", "toggle", "button_group", "selectbox")
    found = {item.key: item for kind in kinds for item in app.get(kind)}
    keys = {settings.key(name): name for name in Config.model_fields}
    return {keys[key]: item for key, item in found.items() if key in keys}


def unused(app: AppTest) -> dict:
    """Those in the closed part for what the sampler does not use."""
    return widgets(next(part for part in app.expander if part.label.startswith("Not used by")))


def test_each_sampler_shows_the_settings_that_it_uses_with_title_reason_and_bounds():
    app, seen = screen(), set()
    assert app.selectbox(key="sampler").options == list(theme.SAMPLERS.values())
    for sampler, reading in (
        ("one-vs-all", "entities"),
        ("popularity", "entities"),
        ("self-adversarial", "entities"),
        ("sans", "entities"),
        ("mcns", "entities"),
        ("nscaching", "entities"),
        ("kbgan", "entities"),
        ("dans", "entities"),
        ("dans", "vectors"),
    ):
        app.selectbox(key="sampler").set_value(sampler).run()
        widgets(app)["reading"].set_value(reading).run()
        assert not app.exception
        assert theme.SAMPLERS_ABOUT[sampler] in [caption.value for caption in app.caption]
        every, hidden = widgets(app), unused(app)
        assert every.keys() == Config.model_fields.keys()
        assert hidden.keys() == {name for name in Config.model_fields if not matters(name, sampler, reading)}
        seen |= every.keys() - hidden.keys()
        for name, widget in every.items():
            field = Config.model_fields[name]
            assert widget.label.removesuffix(" :primary[●]") == field.title
            assert field.description in widget.help
            if field.annotation in (int, float):
                assert (widget.min, widget.max) == settings.bounds(name)
    assert seen == Config.model_fields.keys()


def test_a_setting_that_the_sampler_does_not_use_is_kept_and_told():
    app = screen(sampler="Uniform", set_temperature="2", set_lr="0.02")
    assert unused(app)["temperature"].value == 2
    said = shell_unescaped(texts(app))
    assert "not used by Uniform: Temperature 2" in said
    assert "Changed: Negatives Uniform, Learning rate, base 0.02" in said
    app.selectbox(key="sampler").set_value("self-adversarial").run()
    assert "temperature" not in unused(app) and widgets(app)["temperature"].value == 2
    assert "but not used" not in texts(app)
    app.selectbox(key="sampler").set_value("nscaching").run()
    assert unused(app)["temperature"].value == 2
    next(button for button in app.button if button.label == "Undo to defaults").click().run()
    assert app.selectbox(key="sampler").value == "dans"
    app.selectbox(key="sampler").set_value("self-adversarial").run()
    assert widgets(app)["temperature"].value == 1, "not what the address once said"


def test_a_default_of_a_sampler_stands_unless_another_value_is_chosen():
    app = screen()
    assert widgets(app)["temperature"].value == 0.5 and "Temperature" not in texts(app)
    app.selectbox(key="sampler").set_value("self-adversarial").run()
    assert widgets(app)["temperature"].value == 1 and "Temperature" not in texts(app)
    app.selectbox(key="sampler").set_value("dans").run()
    assert widgets(app)["temperature"].value == 0.5
    widgets(app)["temperature"].set_value(2.0).run()
    assert "Temperature 2" in texts(app)
    app.selectbox(key="sampler").set_value("self-adversarial").run()
    assert widgets(app)["temperature"].value == 2
    app.selectbox(key="sampler").set_value("dans").run()
    widgets(app)["reading"].set_value("vectors").run()
    assert "Set, but not used by DANS: Temperature 2" in shell_unescaped(texts(app))


def test_a_loss_comes_from_the_url_by_either_name():
    assert screen(sampler="One-vs-all", set_loss="Binary").session_state["set_loss"] == "bce"
    assert screen(sampler="Uniform", set_loss="Softmax").session_state["set_loss"] == "softmax"


def test_changed_settings_are_marked_and_undone():
    app = screen()
    app.number_input(key="epochs").set_value(120).run()
    assert app.number_input(key="epochs").label.startswith("Epochs :")
    assert "Changed: Epochs 120" in shell_unescaped(texts(app))
    next(button for button in app.button if button.label == "Undo to defaults").click().run()
    assert not app.exception
    assert app.number_input(key="epochs").value == settings.default("epochs")
    assert "Changed" not in texts(app)


def test_the_paper_preset_sets_its_numbers():
    app = screen()
    app.button(key="preset_paper").click().run()
    assert not app.exception
    for name, value in PRESETS["paper"].items():
        assert app.session_state[settings.key(name)] == value


def test_the_cost_is_said_before_the_start():
    app = screen()
    assert any(
        caption.value.startswith("Takes about") and "MB on disk" in caption.value for caption in app.caption
    )


# --- cost


def test_the_estimate_follows_runs_that_were_measured(tmp_path):
    config = Config(epochs=100)
    guess = jobs.estimate(config, "umls", [])
    assert guess.basis == "formulas"
    run = make_run(tmp_path / "runs", "slow", config)
    with RunWriterStatus(run) as status:
        status["seconds"] = 3 * guess.seconds
    measured = jobs.estimate(config, "umls", [run])
    assert measured.basis == "runs"
    assert measured.seconds == pytest.approx(3 * guess.seconds)


def test_a_guess_is_called_one_until_the_machine_was_timed():
    app = screen()
    assert "the time is a guess until this machine was timed" in texts(app)
    guess = jobs.estimate(Config(), "umls")
    twice = speed.Slower(base=2.0, game=2.0)
    speed.keep(
        speed.Speed(
            machine=machine.name(),
            torch=versions()["torch"],
            device="cpu",
            measured=time.time(),
            small=twice,
            large=twice,
        )
    )
    app.run()
    assert not app.exception and "a guess" not in texts(app)
    timed = jobs.estimate(Config(), "umls")
    assert timed.basis == "practice" and timed.seconds == pytest.approx(2 * guess.seconds)
    assert f"Takes {seconds_in_words(timed.seconds)} (" in texts(app) and "no other work" not in texts(app)
    speed.keep(speed.here().model_copy(update={"small": speed.Slower(base=8.0, game=8.0, share=0.25)}))
    app.run()
    assert f"with no other work on this machine {seconds_in_words(timed.seconds)}." in texts(app)


class RunWriterStatus:
    """Change status.json of a finished run by hand."""

    def __init__(self, run: Run) -> None:
        self.file = run.path / "status.json"

    def __enter__(self) -> dict:
        self.values = json.loads(self.file.read_text())
        return self.values

    def __exit__(self, *error: object) -> None:
        self.file.write_text(json.dumps(self.values))


def test_more_costs_more():
    small = jobs.estimate(Config(epochs=100), "umls", [])
    for config in (
        Config(epochs=400),
        Config(epochs=100, decoder="rotate"),
        Config(epochs=100, dim=400),
        Config(epochs=100, k_d=10),
    ):
        assert jobs.estimate(config, "umls", []).seconds > small.seconds
    assert jobs.estimate(Config(epochs=100, sampler="uniform"), "umls", []).seconds < small.seconds
    assert jobs.estimate(Config(epochs=100, snapshot_every=1), "umls", []).bytes > small.bytes


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 s"),
        (7.4, "about 7 s"),
        (23, "about 25 s"),
        (250, "about 4 minutes"),
        (9000, "about 2 hours"),
    ],
)
def test_times_are_no_more_exact_than_they_are_known(seconds, words):
    assert seconds_in_words(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(900, "1 kB"), (6_200_000, "6 MB"), (1_540_000_000, "1.5 GB")])
def test_sizes_in_words(count, words):
    assert bytes_in_words(count) == words


def test_a_full_house_is_refused_with_a_sentence(tmp_path):
    writers, names = [], []
    try:
        for number in range(jobs.CORES):
            kg = graph.load("umls")
            name = f"busy-{number}"
            names.append(name)
            writers.append(RunWriter.create(tmp_path / "runs", name, Config(), kg.name, kg.hash, "umls"))
        with pytest.raises(InputError, match="under way and this machine has") as refused:
            jobs.Pool().start(Config(), "umls")
        assert all(run_id in str(refused.value) for run_id in names[:4])
    finally:
        for writer in writers:
            writer.close()


# --- the curves


def test_thinning_keeps_every_peak_and_bounds_the_points():
    values = [0.5] * 5000
    values[1234], values[4321] = 9.0, -9.0
    curve = Curve(list(range(1, 5001)), values)
    epochs, thinned, width = thin(curve, 5000)
    assert len(epochs) <= 800 and width > 1
    assert epochs == sorted(epochs) and epochs[0] == 1 and epochs[-1] == 5000
    points = dict(zip(epochs, thinned, strict=True))
    assert points[1235] == 9.0 and points[4322] == -9.0
    assert all(values[epoch - 1] == value for epoch, value in points.items())


def test_short_runs_are_drawn_point_by_point():
    curve = Curve([1, 2, 3], [0.123456789, 0.2, 0.3])
    assert thin(curve, 300) == ([1, 2, 3], [0.12346, 0.2, 0.3], 1)


def test_a_story_reads_only_what_is_new_and_starts_again_after_a_resume(tmp_path):
    kg = graph.load("umls")
    with RunWriter.create(tmp_path / "runs", "r", Config(epochs=9), kg.name, kg.hash, "umls") as writer:
        history = RunHistory("r")
        writer.append(losses(1, base=1.0), losses(2, base=2.0))
        history.follow(writer.run)
        writer.append(losses(3, base=3.0))
        assert history.follow(writer.run).curve("base").values == [1.0, 2.0, 3.0]
        before = history.cursor
        assert history.follow(writer.run).cursor == before
    with RunWriter.reopen(tmp_path / "runs" / "r") as writer:
        writer.append(losses(1, base=5.0))
        assert history.follow(writer.run).curve("base").values == [5.0]


def test_warnings_are_active_until_they_are_over():
    history = RunHistory("r")
    begun = HealthWarning(5, "copies", "G_E", "copies", "more noise")
    history.take(begun)
    history.take(HealthWarning(6, "copies", "G_R", "copies", "more noise"))
    history.take(HealthWarning(9, "copies", "G_E", "copies", "more noise", active=False))
    assert list(history.active) == [("copies", "G_R")]
    assert len(history.warnings) == 3


def test_what_it_means_that_no_warning_stands_depends_on_whether_the_game_was_measured():
    history, config = RunHistory("r"), Config(epochs=100, warmup_epochs=20)
    assert "nothing to judge yet" in words.nothing_wrong(config, history)
    for epoch, said in ((20, "nothing to judge yet"), (30, "Nothing is wrong at epoch 30: the fakes")):
        history.take(Diagnostics(epoch, 1.0, -3.0, 0.05, 0.1, g_e=SOUND, g_r=SOUND))
        assert said in words.nothing_wrong(config, history)
    assert words.nothing_wrong(Config(sampler="uniform"), history) == "Nothing is wrong now."


def panels(history: RunHistory, config: Config, **more: object) -> dict:
    options = {"live": False, "floor": 0.678, "twin": None, "twin_name": ""} | more
    data = curves.panels(history, config, **options)
    return {panel["id"]: panel for panel in data["panels"]}


def test_the_panels_tell_a_screen_reader_what_they_show():
    history = RunHistory("r")
    for event in (losses(1, warm_up=True), losses(2), ranking(2, 0.75)):
        history.take(event)
    config = Config(epochs=10, warmup_epochs=1, reading="vectors")
    shown = panels(history, config)
    assert shown["generator"]["alt"] == (
        "Generator loss by epoch, of 10: G_E 0.700 at epoch 2, G_R 0.600 at epoch 2; guessing 0.693."
    )
    assert "guessing" in shown["generator"]["about"]
    # A cross-entropy in L_G leaves no height at which D is guessing.
    read = panels(history, config.with_values(reading="entities"))
    assert "guessing" not in read["generator"]["alt"] + read["generator"]["about"]
    assert "propose entities" in read["generator"]["about"] and "guessing" in read["discriminator"]["alt"]
    assert "popularity floor 0.678; best 0.750 at epoch 2" in shown["ranking"]["alt"]
    assert {line["dash"] for line in shown["generator"]["series"]} == {"", theme.G_R.dash}


def test_lines_go_on_through_epochs_without_a_round_of_the_game():
    history = RunHistory("r")
    for epoch in range(1, 31):
        history.take(
            losses(epoch) if epoch % 10 == 1 else Losses(epoch, base=0.5, warm_up=False, seconds=0.1)
        )
    shown = panels(history, Config(epochs=40, warmup_epochs=0))
    assert [line["x"] for line in shown["generator"]["series"]] == [[1, 11, 21]] * 2
    assert {line["reach"] for line in shown["generator"]["series"]} == {10}
    assert "G_E 0.700 at epoch 21" in shown["generator"]["alt"] and len(shown["base"]["series"][0]["x"]) == 30


def test_empty_axes_are_replaced_by_the_reason():
    history = RunHistory("r")
    history.take(losses(1, warm_up=True))
    assert "Warm-up" in panels(history, Config())["generator"]["empty"]
    assert panels(history, Config(sampler="uniform")).keys() == {"base", "ranking"}
    assert f"epoch {Config().eval_every}" in panels(history, Config())["ranking"]["empty"]


def test_the_twin_is_drawn_on_the_same_axes_and_lighter():
    history, twin = RunHistory("r"), RunHistory("t")
    for each, mrr in ((history, 0.7), (twin, 0.8)):
        each.take(losses(1))
        each.take(ranking(5, mrr))
    lines = panels(history, Config(), twin=twin, twin_name="uniform")["ranking"]["series"]
    assert [(line["name"], line["faint"]) for line in lines] == [("MRR", False), ("MRR, uniform", True)]
    assert lines[0]["color"] == lines[1]["color"] and lines[0]["dash"] != lines[1]["dash"]


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("name", ["umls", "nations"])
def test_the_floor_is_that_of_the_core(name, split):
    from dans_core.ranking import popularity_floor

    kg = graph.load(name)
    assert graph.floor_mrr(name, kg.hash, split) == pytest.approx(popularity_floor(kg, split).mrr)


def test_the_floor_of_another_data_set_is_not_shown():
    assert graph.floor_mrr("umls", "0" * 64) is None
    assert graph.floor_mrr("no-such-data", "0" * 64) is None


# --- words


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(epochs=40, seed=5, sampler="uniform"),
        Config(warmup_epochs=7, lr=0.02, score_message_edges=False, loss="softmax"),
        Config(**PRESETS["paper"]),
        Config(**PRESETS["released-faults"]),
        Config(sampler="one-vs-all"),
        Config(sampler="one-vs-all", loss="bce"),
        Config(sampler="kbgan", candidates=7, warmup_epochs=3),
    ],
)
def test_the_command_repeats_the_run(tmp_path, config):
    run = make_run(tmp_path / "runs", "r", config.with_values(epochs=min(config.epochs, 60)))
    words = shlex.split(run_export.command(run))
    assert words[:4] == ["python", "-m", "dans_core", "train"]
    values = {}
    rest = iter(words[4:])
    for option in rest:
        value = next(rest)
        if option == "--set":
            name, _, value = value.partition("=")
            values[name] = value
        else:
            values[option.removeprefix("--")] = value
    assert values.pop("dataset") == "umls"
    assert parse(values).model_dump() == run.config.model_dump()


def test_a_twin_is_compared_without_a_winner(tmp_path):
    config = Config(epochs=4)
    run = make_run(tmp_path / "runs", "a", config, mrr=0.9)
    twin = make_run(tmp_path / "runs", "b", config.with_values(sampler="uniform"), mrr=0.91)
    app = screen(run="a")
    said = texts(app)
    assert "DANS **0.900**, Uniform **0.910**. One run of each proves nothing" in said
    assert "10 runs, about" in said
    assert words.comparison(run, twin, [run, twin]) == words.comparison(twin, run, [run, twin])
    assert "Train the twin" not in [button.label for button in app.button]
    assert "one recipe for all” of this graph 10 runs of ComplEx with DANS that differ in nothing" in said
    near = words.comparison(run, twin, [run, twin], floor=0.9)
    assert "**Near the floor**: both rank hardly better" in near
    assert "**Still rising**" in words.comparison(run, twin, [run, twin], floor=0.1, gains=(0.0, 0.1))
    app.toggle(key="dans_show_twin").set_value(True).run()
    assert not app.exception


def test_a_twin_that_cannot_be_trained_is_a_sentence(tmp_path):
    make_run(tmp_path / "runs", "a", Config(epochs=4, sampler="uniform", negatives=2, reading="vectors"))
    app = screen(run="a")
    assert "A twin with DANS cannot be trained" in texts(app) and "at least 4" in texts(app)
    assert "Train the twin" not in [button.label for button in app.button]


def test_a_uniform_run_beside_its_twin_has_the_panels_of_the_gan():
    history, twin = RunHistory("r"), RunHistory("t")
    history.take(losses(1, warm_up=True))
    twin.take(losses(1))
    shown = panels(history, Config(sampler="uniform"), twin=twin, twin_name="DANS")
    assert [line["name"] for line in shown["generator"]["series"]] == ["G_E, DANS", "G_R, DANS"]


@pytest.mark.parametrize("sampler", ["nscaching", "kbgan", "one-vs-all"])
def test_a_run_of_another_sampler_says_what_it_is_and_has_no_panels_of_a_gan(tmp_path, sampler):
    run = small_run.trained(tmp_path / "runs", "own", sampler)
    app = screen(run="own")
    said, title = texts(app), theme.SAMPLERS[sampler]
    assert f"Nations · ComplEx · {title}" in shell_unescaped(said)
    assert f"**{title}.** {theme.SAMPLERS_ABOUT[sampler]}" in said
    assert "sampler *Uniform*" in said and "Health of the negatives" not in said
    history = RunHistory("own").follow(run)
    shown = panels(history, run.config)
    assert shown.keys() == {"base", "ranking"}
    assert "so there are no fakes" in texts(small_run.screen("map.py", run="own"))
    warm = run_state.sentence(run.status.model_copy(update={"state": "running", "epoch": 1}), run.config)
    assert ("warm-up, KBGAN has yet to start" in warm) == (sampler == "kbgan")


@pytest.mark.parametrize(
    ("settings", "without", "lines"),
    [
        (
            PRESETS["released-faults"],
            "without G_E, with a FiLM that is not trained, without D_aux",
            "g_r d_adv",
        ),
        ({"pathways": "G_E"}, "without G_R, without D_aux", "g_e d_adv"),
        ({"film": "none"}, "without FiLM", "g_e g_r d_adv d_aux"),
        ({"random_negatives": False}, "without random negatives", "g_e g_r d_adv d_aux"),
        ({"aux_weight": 0.0}, "without D_aux", "g_e g_r d_adv"),
        ({"conditional_d": True}, "with a D that sees the query", "g_e g_r d_adv d_aux"),
    ],
)
def test_an_ablation_says_what_it_leaves_out_and_draws_no_line_of_it(tmp_path, settings, without, lines):
    run = small_run.trained(tmp_path / "runs", "own", **settings)
    said = texts(screen(run="own"))
    assert "no fakes" not in texts(small_run.screen("map.py", run="own"))
    assert f"**DANS** {without}." in said
    shown = panels(RunHistory("own").follow(run), run.config)
    names = [line["name"] for part in ("generator", "discriminator") for line in shown[part]["series"]]
    looks = {"g_e": theme.G_E, "g_r": theme.G_R, "d_adv": theme.D_ADV, "d_aux": theme.D_AUX}
    assert names == [looks[name].name for name in lines.split()]
    assert ("D_aux" in shown["discriminator"]["about"]) == ("d_aux" in lines)


def test_the_estimate_knows_what_each_sampler_costs():
    def seconds(sampler: str, **more) -> float:
        return jobs.estimate(Config(epochs=100, sampler=sampler, **more), "umls", []).seconds

    dear = ("uniform", "self-adversarial", "nscaching", "sans", "kbgan")
    taken = [seconds(sampler, warmup_epochs=0) for sampler in dear]
    assert taken == sorted(taken) and taken[-1] > 3 * taken[0]
    assert seconds("kbgan", warmup_epochs=50) < seconds("kbgan", warmup_epochs=0)
    assert seconds("sans", warmup_epochs=50) == seconds("sans", warmup_epochs=0)
    costly = {name for name, declared in DECLARED.items() if cost_of(declared).draw != (0, 0)}
    assert costly == set(DECLARED) - {"uniform", "one-vs-all"}
    assert seconds("dans", reading="entities") < seconds("dans", reading="vectors", play_every=10)


def test_measured_seeds_replace_the_general_remark(tmp_path):
    made = [
        make_run(tmp_path / "runs", f"s{seed}", Config(epochs=4, seed=seed), mrr=0.8 + seed / 100)
        for seed in range(3)
    ]
    assert "your 3 runs that differ in nothing but the seed reach from 0.800 to 0.820" in words.comparison(
        made[0], made[1], made
    )


def test_each_state_offers_what_makes_sense(tmp_path):
    for state, offered in (
        ("stopped", {"Resume"}),
        ("paused", {"Resume"}),
        ("running", {"Resume"}),  # its lock is free: interrupted
        ("failed", set()),
        ("finished", set()),
    ):
        make_run(tmp_path / "runs", f"r-{state}", Config(epochs=4, seed=len(state)), state=state)
        app = screen(run=f"r-{state}")
        assert {button.label for button in app.button} & {"Pause", "Resume", "Stop"} == offered


@pytest.mark.kill
def test_a_run_that_is_over_is_trained_on(tmp_path):
    run = small_run.trained(tmp_path / "runs", "over", patience=2, sampler="uniform", eval_every=2, epochs=40)
    status = run.status
    assert status.epoch < 40
    app = screen(run="over")
    assert f"Ended early, at epoch {status.epoch} of 40" in texts(app)
    assert "for 2 epochs the valid ranking got no better" in texts(app)
    app.number_input(key="further_over").set_value(30).run()
    total = status.epoch + 30
    assert f"up to epoch {total} in all; it no longer ends early" in texts(app)
    (button,) = (button for button in app.button if button.label == "Train on")
    assert f"As a run of {total} epochs without a break, but for this" in button.help
    button.click().run()
    now = Run(run.path)
    assert (now.config.epochs, now.config.patience, now.meta.trained_on) == (total, 0, [status.epoch])
    wait_for(lambda: now.status.state == "finished" and now.status.epoch == total, "the last of its epochs")


def test_what_cannot_be_trained_on_offers_it_not(tmp_path):
    run = small_run.trained(tmp_path / "runs", "weightless", sampler="uniform")
    assert any(button.label == "Train on" for button in screen(run="weightless").button)
    (run.path / "last.pt").unlink()
    assert not any(button.label == "Train on" for button in screen(run="weightless").button)
    assert not any(button.label == "Train on" for button in screen(run="umls-complex-dans").button)


def test_what_was_asked_is_said_until_it_is_done(tmp_path):
    kg = graph.load("umls")
    with RunWriter.create(tmp_path / "runs", "r", Config(epochs=9), kg.name, kg.hash, "umls") as writer:
        run = writer.run

        def said(state: str, stage: int = 40) -> str:
            writer.write_status(state, epoch=3, stage_number=stage)
            return run_state.wish(run, run.status)

        assert (said("queued", 0), said("running"), said("paused")) == ("", "", "Resuming")
        run.request(run_until=0)
        assert (said("queued", 0), said("running"), said("paused")) == ("Pausing", "Pausing", "")
        assert run_state.sentence(
            run.status.model_copy(update={"state": "running"}), run.config, "Pausing"
        ) == ("Pausing at epoch 3 of 9 …")
        run.request(stop=True)
        assert (said("running"), said("paused"), said("stopped")) == ("Stopping", "Stopping", "")
        writer.write_status("running", epoch=3)
        app = screen(run="r")
        assert next(button for button in app.button if button.label == "Stop").disabled
        assert "Stopping" in texts(app)
        (run.path / "control.json").write_text("{")
        assert run_state.wish(run, run.status) == ""
    assert run_state.wish(run, run.status) == "", "its process is gone"


@pytest.mark.parametrize(
    ("state", "seconds", "hurries"),
    [("queued", 60, True), ("running", 60, True), ("paused", 60, False), ("running", 0, False)],
)
def test_the_page_hurries_only_for_a_run_that_has_just_begun(tmp_path, monkeypatch, state, seconds, hurries):
    monkeypatch.setattr(run_state, "FIRST_SECONDS", seconds)
    waits, ticks, fragment = [], [], st.fragment
    monkeypatch.setattr(run_state, "first_loss", lambda run, history: waits.append(run.id))
    monkeypatch.setattr(
        st, "fragment", lambda run_every: ticks.append(run_every) or fragment(run_every=run_every)
    )
    kg = graph.load("umls")
    with RunWriter.create(tmp_path / "runs", "r", Config(epochs=9), kg.name, kg.hash, "umls") as writer:
        writer.write_status(state)
        if state == "paused":
            writer.run.request(run_until=0)
        screen(run="r")
        # The form ticks, too, until this machine was timed.
        assert ticks.pop(0) == 2
        assert (ticks, waits) == (([0.1], ["r"]) if hurries else ([0.5], []))


def test_the_first_loss_is_waited_for_a_moment_only(tmp_path, monkeypatch):
    kg = graph.load("umls")
    with RunWriter.create(tmp_path / "runs", "r", Config(epochs=9), kg.name, kg.hash, "umls") as writer:
        history = RunHistory("r")
        run_state.first_loss(writer.run, history)
        assert history.epoch == 0
        monkeypatch.setattr(run_state, "MOMENT", PATIENCE)
        timer = threading.Timer(0.05, lambda: writer.append(losses(1)))
        timer.start()
        run_state.first_loss(writer.run, history)
        timer.join()
        assert history.epoch == 1


def test_runs_are_told_apart_in_the_list(tmp_path):
    run = make_run(tmp_path / "runs", "a", Config(epochs=4), mrr=0.9024)
    assert shell.describe(run) == "UMLS · ComplEx · DANS · seed 0 · 4 epochs · finished, MRR 0.902"
    run = make_run(tmp_path / "runs", "b", Config(epochs=4, lr=0.005, dim=40), mrr=0.9024)
    assert "· 4 epochs · dim 40 · lr 0.005 · finished" in shell.describe(run)


def test_text_of_unknown_origin_means_nothing_in_markdown():
    assert markdown_text("**a** [b](c) <i> :red[x] $y$") == (r"\*\*a\*\* \[b\]\(c\) \<i\> \:red\[x\] \$y\$")
    assert len(markdown_text("x" * 500, 80)) == 80


def test_a_run_with_damaged_events_gets_one_sentence(tmp_path):
    run = make_run(tmp_path / "runs", "broken", Config(epochs=4))
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "losses", "epoch": "three"}\n')
    app = screen(run="broken")
    assert not app.exception
    assert any("This run cannot be shown" in error.value for error in app.error)


@pytest.mark.parametrize(
    "query",
    [
        {"dataset": "kinships", "decoder": "rotate", "sampler": "nscaching", "epochs": "50", "lr_d": "0.05"},
        {"set_dataset": "Kinships", "set_decoder": "ROTATE", "set_sampler": "NSCaching", "set_epochs": "50"}
        | {"set_lr_d": "0.05"},
    ],
)
def test_a_link_may_spell_settings_as_the_terminal_does_or_as_the_screen_and_keeps_them(query):
    app = screen(**query)
    kept = {
        "dataset": "Kinships",
        "decoder": "RotatE",
        "sampler": "NSCaching",
        "epochs": "50",
        "set_lr_d": "0.05",
    }
    for _ in range(2):
        assert not [warning for warning in app.warning if "The address" in warning.value]
        asked = {name: app.session_state[name] for name in kept}
        assert asked == {
            "dataset": "kinships", "decoder": "rotate", "sampler": "nscaching", "epochs": 50, "set_lr_d": 0.05
        }  # fmt: skip
        assert {name: value for name, value in app.query_params.items() if name != "run"} == kept
        app.run()


def test_a_setting_with_two_values_in_the_address_gets_one_sentence():
    app = screen(epochs="50", set_epochs="60")
    (said,) = [warning.value for warning in app.warning]
    assert "epochs stands in it twice, as '50' and as '60'" in said.replace("\\", "")
    assert app.session_state["epochs"] == 50


def test_a_link_that_is_followed_on_the_screen_itself_sets_its_widgets():
    """Streamlit lets nobody write the part of the address that is a widget's."""
    app = screen(lr="0.003", decoder="ComplEx")
    for query, name, shown, said in (
        ({"lr": "0.05"}, "set_lr", 0.05, ""),
        ({"set_epochs": "7"}, "epochs", 7, ""),
        ({"set_decoder": "RotatE"}, "decoder", "rotate", ""),
        ({"set_dataset": "Nations"}, "dataset", "nations", ""),
        ({"lr": "nan"}, "set_lr", settings.default("lr", "dans", "nations"), "lr = 'nan'"),
        ({"epochs": "inf"}, "epochs", settings.default("epochs", "dans", "nations"), "epochs = 'inf'"),
    ):
        app.query_params.clear()
        app.query_params.update(query)
        app.run()
        assert not app.exception, query
        assert app.session_state[name] == shown, query
        told = [warning.value for warning in app.warning if "The address" in warning.value]
        assert all(said in each for each in told) and len(told) == bool(said), (query, told)
        assert not {"lr", "set_epochs", "set_decoder", "set_dataset"} & set(app.query_params)


def test_a_data_set_without_a_run_shows_no_run_of_another(tmp_path):
    make_run(tmp_path / "runs", "one", Config(epochs=4))
    app = screen(dataset="Nations")
    assert not [warning for warning in app.warning if "The address" in warning.value]
    assert "Nothing has been trained on Nations here yet" in texts(app) and "run" not in app.query_params
    (runs,) = [box for box in app.selectbox if box.label == "Run"]
    runs.select_index(0).run()
    assert app.query_params["run"] and "Nothing has been trained" not in texts(app)


def test_defaults_are_told_as_people_count():
    told = {name: settings.unit_behind(name, settings.default(name)) for name in Config.model_fields}
    assert told["dropout"] == "" and told["epochs"] == " epochs"
    assert settings.unit_behind("shared", 1) == " " + settings.unit_of("shared").removesuffix("s")


def test_runs_that_read_alike_can_each_be_chosen(tmp_path):
    for name in ("first", "second"):
        make_run(tmp_path / "runs", name, Config(epochs=4, seed=7))
    app = screen(run="second")
    lines = app.selectbox[next(i for i, box in enumerate(app.selectbox) if box.label == "Run")].options
    assert len(set(lines)) == len(lines) and any("second" in line for line in lines)


def test_a_name_draws_no_icon_and_means_nothing_in_markdown():

    assert ":material" not in markdown_text(":material/home: :streamlit:").replace("\\", "")
    assert markdown_text("*a* [b](c) <i>") == r"\*a\* \[b\]\(c\) \<i\>"
    assert markdown_text("x" * 100, limit=10) == "x" * 9 + "…"
