"""The comments of the C++ sources."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".h", ".cpp", ".inc"))
FILE = re.compile(r"[\w/.-]*\w\.(?:h|cpp|inc|py|toml|txt)\b")
MODULE = re.compile(r"\bseqloom(?:\.[a-z_]\w*)+")


def files_named(source: str) -> list[str]:
    """Names of files and of our modules in the comments of a C++ source; what lies between quotes is no comment."""
    comments = re.findall(r"//.*|/\*(?:.|\n)*?\*/", re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', source))
    files = [name for comment in comments for name in FILE.findall(comment)]
    modules = [name.replace(".", "/") + ".py" for comment in comments for name in MODULE.findall(comment)]
    return [*files, *modules]


def test_what_counts_as_the_name_of_a_file():
    source = (
        'int a;  // see form.py and csrc/tile.h, 0.5\n#include "gone.h"\nauto b = "// no.h";  // seqloom.engine.graph\n'
    )
    assert files_named(source) == ["form.py", "csrc/tile.h", "seqloom/engine/graph.py"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_comments_name_files_that_exist(path):
    for name in files_named(path.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file() or (path.parent / name).is_file(), name
