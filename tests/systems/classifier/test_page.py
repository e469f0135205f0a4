"""What docs/classifying.md shows works as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "classifying.md"


def test_the_python_of_the_page_runs_and_says_what_it_promises(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ["['circle']", "circle 204 298"]
