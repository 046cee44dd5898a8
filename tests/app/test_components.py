"""Scripts of a page and what they import become one module."""

import re
from collections import Counter
from pathlib import Path

import pytest

import dans_app
import dans_lab
from dans_lab import scripts

ALL = sorted(path for floor in (dans_app, dans_lab) for path in Path(floor.__file__).parent.rglob("*.js"))
SCRIPTS = [path for path in ALL if "export default" in path.read_text()]
TOP = re.compile(r"^(?:export )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def test_imported_scripts_come_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "base.js").write_text("export const one = 1\n")
    (tmp_path / "room" / "middle.js").write_text(
        'import { one } from "../base.js"\n\nexport function two() {\n  return one + one\n}\n'
    )
    script = tmp_path / "room" / "last.js"
    script.write_text(
        'import { one } from "../base.js"\nimport {\n  two,\n} from "./middle.js"\n\n'
        "export default function () {\n  return one + two()\n}\n"
    )
    assert [line for line in scripts.module(script).splitlines() if line] == [
        "const one = 1",
        "function two() {",
        "  return one + one",
        "}",
        "export default function () {",
        "  return one + two()",
        "}",
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_module_imports_nothing_and_no_name_stands_twice_at_its_top(script: Path) -> None:
    module = scripts.module(script)
    assert not re.search(r"^import ", module, re.MULTILINE)
    assert len(re.findall(r"^export ", module, re.MULTILINE)) == 1
    names = Counter(TOP.findall(module))
    assert names["element"] == any("elements.js" in each.read_text() for each in scripts.order(script))
    assert {name for name, times in names.items() if times > 1} == set()


def test_every_script_belongs_to_a_component() -> None:
    used = {path for script in SCRIPTS for path in scripts.order(script)}
    assert {path.resolve() for path in ALL} == {path.resolve() for path in used}
