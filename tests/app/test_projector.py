"""Pictures that the server has made: by a process of its own, in a queue."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dans_app.server import fitting
from dans_app.server.projector import PictureFile, Projector
from dans_lab.map import projection
from dans_lab.map.projection import Projection
from tests.lab.test_projection import crowds, made


@pytest.fixture
def projector(monkeypatch):
    monkeypatch.setattr(Projector, "_compile", lambda self: self._warm.set())
    return Projector()


@pytest.mark.long
def test_a_fit_of_a_process_of_its_own_is_the_same():
    points, start = crowds(snapshots=2, n=40)
    rows = np.arange(40)
    # At once, since both compile UMAP first.
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fitting.fit_in_helper, "umap", [0, 5], rows, points, start)
        here = projection.umap(points, start)
        there = answer.result()
    np.testing.assert_array_equal(here, there.points)
    assert (there.method, there.epochs) == ("umap", (0, 5)) and there.rows is rows
    assert there.trust.tolist() == [
        projection.trustworthiness(*pair) for pair in zip(points, here, strict=True)
    ]
    assert np.isnan(there.explained).all() and there.explained.shape == (2,)
    one = fitting.fit_in_helper("tsne", [5], rows, points[:1], start[:1])
    np.testing.assert_array_equal(projection.tsne(points[:1], start[:1]), one.points)
    with pytest.raises(RuntimeError, match="14 points are too few for UMAP"):
        fitting.fit_in_helper("umap", [0, 5], rows[:14], points[:, :14], start[:, :14])


def test_a_picture_is_computed_once_and_kept(projector, tmp_path):
    calls = []
    file = PictureFile(tmp_path, "key")

    def compute():
        calls.append(1)
        return made()

    projector.submit((file, compute))
    assert projector.wait(file, 10)
    projector.submit((file, compute))
    assert projector.wait(file, 10) and calls == [1]
    assert isinstance(projector.result(file), Projection)
    assert projection.load([tmp_path], "key", (0, 5), np.arange(6)) is not None


def test_a_failure_is_told_in_words_and_ends_nothing(projector, tmp_path):
    bad, good = PictureFile(tmp_path, "bad"), PictureFile(tmp_path, "good")
    projector.submit((bad, lambda: 1 / 0))
    projector.submit((good, made))
    assert projector.wait(bad, 10) and projector.wait(good, 10)
    assert projector.result(bad) == "division by zero"
    assert isinstance(projector.result(good), Projection)


@pytest.fixture
def busy(projector, tmp_path):
    """A queue that is kept busy until `go`, a way to ask for pictures by names, and the order they are made in."""
    go, begun, order = threading.Event(), threading.Event(), []

    def blocking():
        begun.set()
        assert go.wait(10)
        return made()

    def ask(names):
        def noting(name):
            return lambda: (order.append(name), made())[1]

        projector.submit(*((PictureFile(tmp_path, name), noting(name)) for name in names))

    projector.submit((PictureFile(tmp_path, "first"), blocking))
    assert begun.wait(10)
    yield projector, ask, go, order
    go.set()


def test_the_picture_asked_for_last_comes_first_and_old_requests_are_dropped(busy, tmp_path):
    projector, ask, go, order = busy
    for name in "abcdef":
        ask(name)
    assert not projector.busy(PictureFile(tmp_path, "a")) and projector.busy(PictureFile(tmp_path, "f"))
    go.set()
    for name in "cdef":
        assert projector.wait(PictureFile(tmp_path, name), 10)
    assert order == ["f", "e", "d", "c"]


def test_of_pictures_asked_for_together_the_first_comes_first_even_where_others_wait(busy, tmp_path):
    projector, ask, go, order = busy
    ask("xj")
    ask("yj")
    go.set()
    for name in "xyj":
        assert projector.wait(PictureFile(tmp_path, name), 10)
    assert order == ["y", "j", "x"]


def test_only_the_latest_results_are_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(Projector, "_compile", lambda self: None)
    projector = Projector(kept=2)
    for name in "abc":
        projector.submit((PictureFile(tmp_path, name), made))
        assert projector.wait(PictureFile(tmp_path, name), 10)
    assert [projector.result(PictureFile(tmp_path, name)) is None for name in "abc"] == [True, False, False]


def test_a_folder_that_cannot_be_written_is_no_failure(projector, tmp_path):
    (tmp_path / "file").write_text("in the way")
    file = PictureFile(tmp_path / "file" / "below", "key")
    projector.submit((file, made))
    assert projector.wait(file, 10) and isinstance(projector.result(file), Projection)
