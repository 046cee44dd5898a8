"""One's own triplets in a real browser: looked at, kept, trained on; hostile, wrong and too large files; phones."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

import dans_data
from dans_data import SPLITS, own
from dans_lab.runs.run import list_runs
from tests.browser.states import at_rest, fits, inside, open_dialog
from tests.data import test_cases

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)> **b** [a](http://b) $x$ `c` :red[d] :material/bolt: # "


def drop(page, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    )


def nations() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for split in SPLITS:
            archive.write(dans_data.BUNDLED / "nations" / f"{split}.txt", f"mine/{split}.txt")
    return data.getvalue()


def is_calm(page) -> None:
    """No error box of Streamlit, and nothing of a name that became an element."""
    assert page.locator("[data-testid=stException], img[src=x], .katex").count() == 0


def test_a_zip_is_kept_trained_on_and_known_everywhere(server, page):
    page.goto(f"{server.url}/data?data=umls")
    drop(page, ("My facts.zip", nations()))
    page.get_by_text("1,992 triplets").first.wait_for()
    page.get_by_text("Zip archive, 3 files: text, columns separated by tabs, no header").first.wait_for()
    name = page.get_by_role("textbox", name="Name", exact=True)
    expect(name).to_have_value("my-facts")
    assert own.names() == [] and page.get_by_role("spinbutton", name="Split seed").count() == 0
    name.fill("umls")
    page.get_by_text("There is a data set").first.wait_for()
    expect(page.get_by_role("button", name="Keep this data set")).to_be_disabled()
    name.fill("My facts")
    page.get_by_text("It will be called").first.wait_for()
    page.get_by_role("button", name="Keep this data set").click()
    page.get_by_text("is kept. It is shown above").first.wait_for()
    page.wait_for_url(re.compile("data=my-facts"))
    assert own.names() == ["my-facts"]
    is_calm(page)

    page.get_by_role("button", name="Train on it").click()
    page.get_by_role("button", name="Start training").first.wait_for()
    page.wait_for_url(re.compile("dataset=my-facts"))
    page.get_by_text("14 entities, 55 relations, 1,592 training triplets").first.wait_for()
    page.get_by_role("spinbutton", name="Epochs", exact=True).fill("4")
    page.get_by_role("button", name="Start training").click()
    page.get_by_text(re.compile(r"^4 epochs in ")).first.wait_for()
    (run,) = list_runs(server.runs)
    assert (run.meta.dataset, run.meta.source, run.status.state) == ("my-facts", "my-facts", "finished")
    at_rest(page)
    command = page.get_by_text("python -m dans_core train --dataset my-facts").first
    open_dialog(page.get_by_role("button", name="Share"), command)
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Triplet").click()
    page.locator(".js-plotly-plot .scatterlayer .point").first.wait_for(state="attached")
    page.get_by_text(re.compile("is a fact of test")).first.wait_for()
    for screen, shown in (("Map", "canvas.canvas[aria-label]"), ("Runs", "[data-testid=stDataFrame]")):
        page.get_by_role("link", name=screen).first.click()
        page.get_by_role("heading", name=screen, level=1).wait_for()
        page.locator(shown).first.wait_for(state="attached")
        at_rest(page)
        is_calm(page)
    assert "Traceback" not in server.log()


def test_names_are_text_and_wrong_files_get_one_sentence(server, page, tmp_path: Path):
    page.on("dialog", lambda dialog: pytest.fail("a script of a name ran"))
    page.goto(f"{server.url}/data?data=nations")
    rows = [(f"{MARKUP}{i % 9}", f"{MARKUP}r{i % 2}", f"{MARKUP}{(i * 5 + 1) % 9}") for i in range(40)]
    rows += [
        ("a" * 1000, MARKUP, "b" * 1000),
        ("a" * 1000, MARKUP, "a" * 1000),
        (f"{MARKUP}1", "only", "עברית"),
    ] * 2
    hostile = "".join("\t".join(row) + "\n" for row in rows)
    title = f"\u202e{MARKUP.replace('/', '')}"
    drop(page, (f"{title}.tsv", hostile.encode()))
    page.get_by_text("Know before you train on it").first.wait_for()
    page.get_by_text(re.compile("of 4 relations ha.* only one head or only one tail")).first.wait_for()
    is_calm(page)
    panel = page.get_by_test_id("stMain")
    for element in ("strong:has-text('b'):text-is('b')", "a[href='http://b']", "code:text-is('c')"):
        assert panel.locator(element).count() == 0, element
    assert page.get_by_text("<img src=x onerror=alert(1)> **b** [a](http", exact=False).count() >= 1

    # The whole screen shows it then, by a title that is the name of the file.
    page.get_by_role("button", name="Keep this data set").click()
    page.get_by_text("is kept. It is shown above").first.wait_for()
    page.wait_for_url(re.compile("data=.*img-src-x"))
    at_rest(page)
    is_calm(page)
    kept = own.names()

    drop(page, ("first.tsv", b"a\tb\n"))
    page.get_by_text("1: 2 columns, expected 3").first.wait_for()
    drop(page, (f"{title}.csv", f"a,b\n{MARKUP}".encode()))
    page.get_by_text("2 lines are no triplets; 0 are").first.wait_for()
    page.get_by_text("not used any more").first.wait_for()
    expect(page.get_by_test_id("stAlert")).to_have_count(1)
    is_calm(page)

    # The browser refuses what the server would: it says so on the file, and the panel how to allow more.
    large = tmp_path / "large.tsv"
    with large.open("wb") as file:
        file.truncate(101 * 2**20)
    page.locator("input[type=file]").set_input_files(large)
    page.get_by_text("File must be 100.0MB or smaller").wait_for(state="attached")
    page.get_by_text("Up to 100 MB a file").first.wait_for()
    expect(page.get_by_test_id("stAlert")).to_have_count(1)
    assert own.names() == kept
    assert "Traceback" not in server.log()


def test_files_as_people_have_them_are_read_asked_about_or_mended(server, page):
    """One of each kind, on one page: what is clear is read, what is not is asked, and what is broken is left out."""
    page.goto(f"{server.url}/data?data=nations")
    panel = page.get_by_test_id("stMain")
    entities = len({name for head, _, tail in test_cases.FACTS for name in (head, tail)})

    def read(name: str, more: int = 0) -> None:
        words = f"{name} · {entities + more} entities · 3 relations"
        panel.get_by_text(re.compile(words)).first.wait_for()
        is_calm(page)

    for name in ("hetionet.tsv", "pandas.csv", "spaces.txt", "lines.jsonl", "all-quoted.tsv"):
        drop(page, (name, test_cases.FORMS[name]))
        read(name.partition(".")[0])
    drop(page, *test_cases.openke().items())
    read("my-triplets")

    table = test_cases.table
    drop(page, ("asked.tsv", table(header="Wirkstoff\tBeziehung\tZiel")))
    panel.get_by_text("may be a header").first.wait_for()
    page.get_by_role("button", name="Names the columns").or_(
        page.get_by_role("radio", name="Names the columns")
    ).first.click()
    read("asked")

    drop(page, ("excel.csv", table(",").replace(b"drug1", "Müller".encode("cp1252"))))
    panel.get_by_text("is not UTF-8").first.wait_for()
    page.get_by_role("button", name="Read it as Excel saves CSV in Western Europe").click()
    read("excel")
    panel.get_by_text("text read as windows-1252").first.wait_for()

    drop(page, ("broken.csv", test_cases.with_bad_lines(test_cases.BAD)))
    page.get_by_role("button", name="Leave these 5 lines out").click()
    read("broken")
    panel.get_by_text("5 lines left out, which are no triplets").first.wait_for()
    assert "Traceback" not in server.log()


def test_a_phone_shows_the_panel_and_its_sample(server, page):
    page.set_viewport_size({"width": 400, "height": 850})
    page.goto(f"{server.url}/data?data=nations")
    page.get_by_role("button", name="A sample file").first.wait_for()
    page.get_by_role("link", name="Bring your own triplets").first.click()
    page.wait_for_function("() => document.getElementById('own-triplets')?.getBoundingClientRect().top < 500")
    with page.expect_download() as download:
        page.get_by_role("button", name="A sample file").click()
    drop(page, ("sample.tsv", Path(download.value.path()).read_bytes()))
    # The sample is small, and its test split says so.
    page.get_by_text(re.compile("a smaller difference between two runs may be chance")).first.wait_for()
    seed = page.get_by_role("spinbutton", name="Split seed")
    seed.fill("7")
    seed.press("Enter")
    page.get_by_text("22 entities").first.wait_for()
    at_rest(page)
    fits(page)
    for part in (
        page.get_by_role("button", name="Keep this data set"),
        page.get_by_test_id("stFileUploader"),
    ):
        part.scroll_into_view_if_needed()
        inside(part)
    page.get_by_role("button", name="Keep this data set").click()
    page.get_by_role("button", name="Train on it").first.wait_for()
    kept = dans_data.load("sample").splits
    wanted = dans_data.from_uploads(
        [("s.tsv", Path(download.value.path()).read_bytes())], "s", split_seed=7
    ).splits
    assert {split: set(kept[split]) for split in SPLITS} == {split: set(wanted[split]) for split in SPLITS}
    is_calm(page)
