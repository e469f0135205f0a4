"""Small files of series, and where the real ones lie."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def written(tmp_path):
    """Writes a text as a file of a name, and gives its path."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def real():
    """The path of a file of the real data; skips where it is not there."""

    def find(name):
        path = Path(os.environ.get("SEQLOOM_DATA", "")) / name
        if "SEQLOOM_DATA" not in os.environ or not path.exists():
            pytest.skip(f"SEQLOOM_DATA names no folder with {name}")
        return path

    return find
