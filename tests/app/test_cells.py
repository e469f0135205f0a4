import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from seqloom import cells as room
from seqloom.app import cells
from seqloom.app.cells_page import page, speed_in
from seqloom.cells import registry
from seqloom.cells.registry import FAMILIES
from seqloom.engine.runtime import native
from seqloom.errors import ConfigError


def test_every_registered_cell_is_listed_with_its_size_and_source(capsys):
    assert cells.run(["--json"]) == 0
    listed = {cell["name"]: cell for cell in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(room.names())
    assert listed["lstm"]["state"] == ["h", "c"]
    assert listed["lstm"]["size"] == "4nm + 4m² + 4m"
    assert "1997" in listed["lstm"]["source"]
    assert listed["lstm"]["backends"] == ["reference", "derived", "vendor", *(["cpu"] if native.available() else [])]


def test_options_are_listed_with_their_defaults_and_what_the_docstring_says(capsys):
    assert cells.run(["--json"]) == 0
    listed = {cell["name"]: cell["options"] for cell in json.loads(capsys.readouterr().out)}
    assert listed["lstm"] == []
    assert listed["scrn"] == [
        {"name": "context_size", "default": None, "text": "slow units, half as many by default"},
        {"name": "decay", "default": 0.95, "text": "how much of itself a slow unit keeps in a step, 0 to 1"},
    ]
    # Said in the docstring of a base class, over two lines; and one entry for two arguments.
    assert "otherwise the input is multiplied by a matrix" in listed["mut1"][0]["text"]
    assert listed["lru"][0]["text"] == listed["lru"][1]["text"] == "the ring in which the absolute eigenvalues begin"


@pytest.mark.parametrize("name", room.names())
def test_every_option_of_a_cell_is_explained_and_is_handed_on_to_a_further_cell(name):
    described = room.describe_one(name)
    assert all(option.text for option in described.options)
    handed_on = room.get(name)(4, 4).options()
    assert {option.name for option in described.options} == set(handed_on)
    for option in described.options:
        assert option.default is None or option.default == handed_on[option.name]


def test_every_cell_has_a_family_and_stands_with_it():
    described = room.describe()
    families = list(dict.fromkeys(cell.family for cell in described))
    assert families == list(FAMILIES)
    assert [cell.family for cell in described] == sorted((cell.family for cell in described), key=families.index)
    assert [cell.name for cell in described if cell.family == families[0]][:2] == ["rnn", "rnn_relu"]


def test_a_cell_of_ones_own_is_listed_last_with_its_options(monkeypatch, capsys):
    monkeypatch.setattr(registry, "_cells", dict(registry._cells))

    @room.register("leaky")
    class Leaky(room.Cell):
        """A leaky integrator (nobody 2000).

        Args:
            rate: how fast.
        """

        def __init__(self, input_size, hidden_size, *, rate=object, bias=True):
            super().__init__(input_size, hidden_size, bias=bias)

        def step(self, x, h):
            return 0.5 * h + self.affine(x)

    assert cells.run(["--json"]) == 0
    last = json.loads(capsys.readouterr().out)[-1]
    assert (last["name"], last["family"], last["source"], last["size"]) == ("leaky", "Other cells", "nobody 2000", "")
    assert last["options"] == [{"name": "rate", "default": str(object), "text": "how fast"}]
    assert "| `leaky` |" in page()


def test_the_table_shows_every_cell(capsys):
    assert cells.run([]) == 0
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines()[2:40]}
    assert set(lines) == set(room.names())
    assert lines["cifg"].split(maxsplit=1)[1].startswith("h, c")
    assert "3nm + 3m² + 3m" in lines["cifg"]
    assert "Greff et al. 2015" in lines["cifg"]
    assert lines["cifg"].endswith("[peepholes=False]")


def test_the_table_fits_100_columns():
    console = Console(width=100, record=True, file=StringIO())
    console.print(cells._table())
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert {line.split()[0] for line in lines if not line.startswith(" ")} >= set(room.names())


def test_one_cell_is_explained_and_an_unknown_one_gets_a_suggestion(capsys):
    assert cells.run(["gru"]) == 0
    printed = capsys.readouterr().out
    assert "GRU(16, 16): " in printed
    assert "Cho et al. 2014" in printed
    assert cells.run(["lstmp"]) == 0
    assert "units P of the output, half of `hidden_size` by default" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="did you mean 'gru'"):
        cells.run(["gruu"])
    with pytest.raises(ConfigError, match="--json lists the cells; leave out 'gru'"):
        cells.run(["gru", "--json"])


def test_the_page_of_cells_is_that_of_the_registry():
    text = (Path(__file__).parents[2] / "docs" / "cells.md").read_text(encoding="utf-8")
    assert text == page(speed_in(text)), "run seqloom cells --markdown docs/cells.md"


def test_the_page_is_written_anew_around_its_table_of_speeds(tmp_path, capsys):
    path = tmp_path / "cells.md"
    path.write_text(page("the speeds").replace("## Speed", "## Old"), encoding="utf-8")
    assert cells.run(["--markdown", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == page("the speeds")
    path.write_text("anything", encoding="utf-8")
    assert cells.run(["--markdown", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == page()
    with pytest.raises(ConfigError, match="give neither a name nor --json"):
        cells.run(["gru", "--markdown", str(path)])
