"""What the README shows works as it stands."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from seqloom.app.configuration import RECIPES
from seqloom.app.main import VERBS, main
from seqloom.app.own_code import ENVIRONMENT
from seqloom.cells import registry
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.segmenter import Segmenter

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_python_examples_run(tmp_path, monkeypatch, segmented_lines):
    words = Dictionary.from_lines(segmented_lines)
    Segmenter("unigram", words, methods.dictionary_method("unigram", words)).save(tmp_path / "runs/demo/model")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_cells", dict(registry._cells))
    monkeypatch.setenv(ENVIRONMENT, "")
    names: dict[str, object] = {"__name__": "page"}
    modules = set(sys.modules)
    for kind, block in re.findall(r"```(python|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        file = re.match(r"# (\w+\.py)\n", block)
        if kind == "console":
            for command in re.findall(r"^\$ seqloom (.*(?:\n    .*)*)", block, re.MULTILINE):
                assert main(shlex.split(command)) == 0, command
        elif file:
            (tmp_path / file[1]).write_text(block, encoding="utf-8")
        else:
            exec(compile(block, page.name, "exec"), names)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_verbs_and_recipes_that_exist(page):
    text = page.read_text(encoding="utf-8")
    for verb in re.findall(r"(?:^ {4}|`|\$ |\| |bin/)seqloom ([a-z]+)", text, re.MULTILINE):
        assert verb in VERBS, verb
    for recipe in re.findall(r"seqloom train ([a-z][a-z-]*) ", text):
        assert (RECIPES / f"{recipe}.yaml").exists(), recipe


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
