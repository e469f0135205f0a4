"""``--import``: a person's own cells are known to every verb, and a mistake in their file names its line.

That the workers of a comparison know them too is shown where the commands of docs/writing-a-cell.md are run.
"""

import json
import os

import pytest

from seqloom import cells
from seqloom.app import own_code
from seqloom.app.main import main
from seqloom.cells import registry

CELL = '''
from seqloom.cells import Cell, register
from seqloom.engine.operations import tanh


@register("leaky_of_a_test")
class Leaky(Cell):
    """Leaky integrator (a test 2026)."""

    def step(self, x, h):
        return 0.9 * h + 0.1 * tanh(self.affine(x, h))
'''


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.delenv(own_code.ENVIRONMENT, raising=False)
    known = dict(registry._cells)
    yield
    registry._cells.clear()
    registry._cells.update(known)
    os.environ.pop(own_code.ENVIRONMENT, None)


def test_a_cell_of_ones_own_is_listed_like_the_others(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(CELL)
    assert main(["cells", "--json", "--import", str(file)]) == 0
    (found,) = [cell for cell in json.loads(capsys.readouterr().out) if cell["name"] == "leaky_of_a_test"]
    assert found["summary"] == "Leaky integrator"
    assert main([f"--import={file}", "cells", "leaky_of_a_test"]) == 0
    assert "Leaky(16, 16)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [("x = 1\ny = z\n", "mine.py:2: NameError: name 'z' is not defined"), ("def f(:\n", "mine.py:1: SyntaxError")],
)
def test_a_mistake_in_the_file_names_its_line(text, says, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(text)
    assert main(["cells", "--import", str(file)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--import", "nowhere.py"], "nowhere.py is not a file"), (["--import"], "--import needs a Python file")],
)
def test_a_file_that_is_not_there_is_one_sentence(arguments, says, capsys):
    assert main(["cells", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_an_unknown_cell_says_how_to_bring_ones_own():
    with pytest.raises(cells.registry.ConfigError, match=r"--import FILE\.py brings your own"):
        cells.get("zzzz")
