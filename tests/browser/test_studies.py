"""The Studies screen in a real browser: a table that is pressed, a run that is opened, a study that grows, phones."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dans_lab.runs.records import replace, to_json
from dans_lab.runs.writer import RunWriter
from dans_lab.study.folder import RunRecord
from tests import small_run
from tests.browser.states import at_rest, fits, inside
from tests.study_samples import EQUAL_TIME, small_plan, write_study

pytestmark = pytest.mark.browser


def is_calm(page) -> None:
    assert page.locator("[data-testid=stException], [data-testid=stAlert]").count() == 0


def test_a_cell_is_read_and_pressed_and_its_run_opened(server, page):
    plan = small_plan()
    write_study(
        server.runs / "studies", plan, skill=lambda cell: -0.9 if cell.config.sampler == "uniform" else 0.0
    )
    for sampler in ("dans", "uniform"):
        cell = plan.parts[0].cell({"sampler": sampler, "decoder": "complex"})
        small_run.trained(server.runs, plan.runs_of(cell)[1], sampler)
    page.goto(f"{server.url}/studies")
    cell = page.get_by_role("button", name=re.compile("^Uniform, ComplEx: MRR"))
    cell.wait_for()
    expect(page).to_have_title("Studies · DANS Lab")
    page.get_by_role("button", name="H@10").or_(page.get_by_role("radio", name="H@10")).first.click()
    page.wait_for_url(re.compile("metric=hits_at_10"))
    cell = page.get_by_role("button", name=re.compile("^Uniform, ComplEx: H@10"))
    cell.hover()
    page.get_by_text(re.compile(r"^Uniform, ComplEx: H@10 .* lower than DANS \(95 %: ")).first.wait_for()
    cell.click()
    page.wait_for_url(re.compile("row=uniform"))
    page.get_by_role("heading", name="Runs of Uniform, ComplEx").first.wait_for()
    page.wait_for_url(re.compile("column=complex"))
    at_rest(page)

    dots = page.locator(".js-plotly-plot").nth(2)
    dots.locator(".scatterlayer .point").first.wait_for(state="attached")
    dots.scroll_into_view_if_needed()
    # The second dot of the second row: rows are traces, in their order.
    box = dots.locator(".scatterlayer .trace").nth(1).locator(".point").nth(1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.wait_for_url(re.compile("seed=1"))
    compare = page.get_by_role("button", name="Compare with DANS")
    compare.wait_for()
    is_calm(page)
    compare.click()
    page.get_by_text("B differs from A in Negatives alone.").first.wait_for()
    page.wait_for_url(re.compile("-s1-"))
    is_calm(page)


def test_a_study_grows_while_one_looks(server, page):
    plan = small_plan()
    *_, job = plan.jobs
    study = write_study(server.runs / "studies", plan, missing=[job.run])
    page.goto(f"{server.url}/studies?row=popularity&column=complex&seed=2")
    page.get_by_text("17 of 18 runs").first.wait_for()
    page.get_by_text("python -m dans_core study small").first.wait_for()
    with RunWriter.create(
        server.runs, job.run, job.config, "nations", "0" * 64, "nations", study="small"
    ) as writer:
        writer.write_status("running", epoch=7)
        page.get_by_text("Popularity · ComplEx · seed 2: epoch 7 of 40").first.wait_for()
        other = next(iter(study.records().values()))
        record = RunRecord(**{**other.model_dump(), "run": job.run, "seed": 2})
        replace(study.path / "records" / f"{job.run}.json", to_json(record))
        expect(page.get_by_text("17 of 18 runs").first).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Popularity, ComplEx: .* over 3 seeds; ")).first.wait_for()
    is_calm(page)

    page.set_viewport_size({"width": 400, "height": 850})
    fits(page)
    inside(page.locator(".js-plotly-plot"))


def test_the_seen_triplets_and_the_minutes_are_a_press_away(server, page):
    plan = small_plan(EQUAL_TIME, "equal")
    seen = "".join("01"[number % 5 > 0] for number in range(60))
    write_study(server.runs / "studies", plan, seen=seen, epoch_seconds=lambda cell: 600 / cell.config.epochs)
    page.goto(f"{server.url}/studies")
    page.get_by_text(re.compile("^seen 0\\.")).first.wait_for()
    page.get_by_text("200 epochs, 10").first.wait_for()
    page.get_by_text("Test, seen", exact=True).click()
    page.get_by_role("heading", name="MRR on seen test triplets").first.wait_for()
    page.wait_for_url(re.compile("split=seen"))
    expect(page.get_by_text(re.compile("^seen 0\\."))).to_have_count(0)
    page.get_by_text("Minutes", exact=True).click()
    page.get_by_text("training time of a run, minutes").wait_for(state="attached")
    page.wait_for_url(re.compile("by=time"))
    assert page.locator("[data-testid=stException]").count() == 0
    page.set_viewport_size({"width": 400, "height": 800})
    fits(page)
