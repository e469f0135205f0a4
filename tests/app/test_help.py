"""Help is instant: it loads nothing that takes long. Seconds are in benchmarks/startup.py."""

import subprocess
import sys

import pytest

from seqloom.app.main import VERBS
from seqloom.configuration import RECIPES

HEAVY = ("torch", "numpy", "rich", "matplotlib", "safetensors", "shtab")
PROGRAM = f"""
import sys
from seqloom.app.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code
heavy = sorted({{*{HEAVY}}} & {{*sys.modules}})
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        *([verb, "--help"] for verb in VERBS),
        *(["train", name, "--help"] for name in ("ner", "segment", "adding")),
        ["train", "ner", "--print-config"],
    ],
    ids=" ".join,
)
def test_help_loads_neither_torch_nor_numpy_nor_rich(command):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_the_help_of_a_recipe_shows_its_keys_and_their_values_here(name, capsys):
    from seqloom.app.main import main

    with pytest.raises(SystemExit, match=r"^0$"):
        main(["train", name, "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert f"usage: seqloom train {name} --out RUN [--section.key VALUE ...]" in printed
    assert "Largest norm of all gradients taken jointly; 0 clips nothing." in printed
    if name == "ner":
        assert "--data.convert CONVERT the scheme in which the model learns and predicts spans" in printed
        assert "bioes. Empty: that of the file ('bioes')" in printed
