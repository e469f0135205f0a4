import json

import pytest

from seqloom import cells as room
from seqloom.app import cells
from seqloom.engine.compiled import native
from seqloom.errors import ConfigError


def test_every_registered_cell_is_listed_with_its_size_and_source(capsys):
    assert cells.run(["--json"]) == 0
    listed = {cell["name"]: cell for cell in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(room.names())
    assert listed["lstm"]["state"] == ["h", "c"]
    assert listed["lstm"]["size"] == "4nm + 4m² + 4m"
    assert "1997" in listed["lstm"]["source"]
    assert listed["lstm"]["backends"] == ["reference", "derived", "vendor", *(["cpu"] if native.available() else [])]


def test_the_table_shows_every_cell(capsys):
    assert cells.run([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in room.names())


def test_one_cell_is_explained_and_an_unknown_one_gets_a_suggestion(capsys):
    assert cells.run(["gru"]) == 0
    assert "GRU(16, 16): " in capsys.readouterr().out
    with pytest.raises(ConfigError, match="did you mean 'gru'"):
        cells.run(["gruu"])
    with pytest.raises(ConfigError, match="--json lists the cells; leave out 'gru'"):
        cells.run(["gru", "--json"])
