import json
import subprocess
import sys

import pytest

from seqloom.app import configuration, recipes
from seqloom.errors import ConfigError


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "words.yaml").write_text("# Words of Chinese text\nsystem: segmenter\n", encoding="utf-8")
    (folder / "names.yaml").write_text("# Names [of people]\nsystem: tagger\n", encoding="utf-8")
    monkeypatch.setattr(configuration, "RECIPES", folder)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def test_recipes_are_listed_by_name_with_system_and_first_comment(shelf, capsys):
    assert recipes.run(["--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(r["name"], r["system"], r["description"]) for r in listed] == [
        ("names", "tagger", "Names [of people]"),
        ("words", "segmenter", "Words of Chinese text"),
    ]
    assert recipes.run([]) == 0
    assert "Names [of people]" in capsys.readouterr().out


def test_a_copy_is_the_recipe_byte_by_byte(shelf, capsys):
    assert recipes.run(["--copy", "words"]) == 0
    assert (shelf / "words.yaml").read_bytes() == (configuration.RECIPES / "words.yaml").read_bytes()
    assert recipes.run(["--copy", "words", "--to", "mine.yaml"]) == 0
    assert (shelf / "mine.yaml").exists()
    assert "mine.yaml" in capsys.readouterr().out


def test_a_copy_never_overwrites(shelf):
    (shelf / "words.yaml").write_text("precious")
    with pytest.raises(ConfigError, match=r"words\.yaml exists already and is not overwritten"):
        recipes.run(["--copy", "words"])
    assert (shelf / "words.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--copy", "wrods"], "'wrods' is not a recipe; did you mean 'words'?"),
        (["--copy", "words", "--to", "no/such/file.yaml"], "cannot be written"),
        (["--to", "x.yaml"], "--to x.yaml needs --copy NAME"),
    ],
)
def test_a_mistake_is_named(shelf, argv, sentence):
    with pytest.raises(ConfigError) as caught:
        recipes.run(argv)
    assert sentence in str(caught.value)


def test_the_verbs_that_need_no_torch_do_not_import_it():
    # In a process of its own, since the tests of this one have long imported torch.
    code = "import sys; from seqloom.app import check, info, recipes; recipes.run(['--json']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0
