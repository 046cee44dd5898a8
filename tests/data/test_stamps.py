"""The stamp of a file: the same while it stays, another whenever it is written."""

from __future__ import annotations

import os

from dans_data.stamps import stamp


def test_a_file_that_stays_keeps_its_stamp_and_one_that_is_written_gets_another(tmp_path):
    file = tmp_path / "status.json"
    assert stamp(file) is None
    file.write_text("one")
    first = stamp(file)
    assert first == stamp(str(file)) is not None
    # Replaced whole by as many bytes at what the clock calls the same time.
    other = tmp_path / "new"
    other.write_text("two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert stamp(file) not in (None, first)
    longer = stamp(file)
    with file.open("a") as stream:
        stream.write("more")
    assert stamp(file) != longer
    file.unlink()
    assert stamp(file / "below") is None is stamp(file)
