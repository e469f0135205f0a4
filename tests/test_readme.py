"""What the README shows works as it stands."""

import io
import itertools
import random
import re
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

from seqloom.app.configuration import RECIPES
from seqloom.app.main import VERBS, main
from seqloom.app.own_code import ENVIRONMENT
from seqloom.cells import registry
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.segmenter import Segmenter

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")] + sorted(
    (ROOT / "docs").rglob("*.md")
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_the_python_examples_run(tmp_path, monkeypatch, segmented_lines):
    words = Dictionary.from_lines(segmented_lines)
    Segmenter("unigram", words, methods.dictionary_method("unigram", words)).save(tmp_path / "runs/demo/model")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


PEOPLE, PLACES = ["Ann", "Bob", "Carla"], [["Rome"], ["Oslo"], ["New", "York"]]


def _english() -> str:
    """Sentences of the README's kind, in columns."""
    lines = []
    for person, place, verb in itertools.product(PEOPLE, PLACES, ["flew", "went", "came", "wrote"]):
        lines += [f"{person}\tB-PER", f"{verb}\tO", "to\tO", f"{place[0]}\tB-LOC"]
        lines += [f"{word}\tI-LOC" for word in place[1:]] + [".\tO", ""]
    random.Random(1).shuffle(blocks := "\n".join(lines).split("\n\n"))
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n\n"


def _chinese() -> str:
    """Lines of the README's kind, words separated by spaces."""
    people, places, ends = ["我", "他", "我们"], ["北京", "中国", "上海"], ["工作", "学习", "生活"]
    lines = [f"{a} 在 {b} {c}" for a, b, c in itertools.product(people, places, ends)]
    lines += [f"{a} 是 {b} 人" for a, b in itertools.product(people, places)]
    return "\n".join(random.Random(1).sample(lines * 8, len(lines) * 8)) + "\n"


def _classes(place: Path) -> None:
    """A table of reviews, recordings of gestures in folders of their class, and digits from a pen."""
    adjectives = {"good": ("warm", "funny", "fine"), "bad": ("dull", "cold", "poor")}
    rows = [f"a {a} and {b} film,{label}" for label, some in adjectives.items() for a in some for b in some]
    (place / "reviews.csv").write_text("text,label\n" + "\n".join(rows * 6) + "\n", encoding="utf-8")
    for label, slope in (("up", 1), ("down", -1)):
        (place / "gestures" / label).mkdir(parents=True)
        for number in range(8):
            steps = "\n".join(f"{slope * (step + number)},{number}" for step in range(6))
            (place / "gestures" / label / f"{number}.csv").write_text(f"ax,ay\n{steps}\n")
    x = np.tile(np.arange(8), 24).reshape(24, 8)
    tall = np.arange(24)[:, None] % 2 * x
    labels = np.where(np.arange(24) % 2, "7", "1")
    np.savez(place / "digits.npz", x=np.stack([x, tall], -1).astype(np.float32), y=labels)


def test_the_commands_of_the_readme_print_what_it_shows(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("train.conll").write_text(_english(), encoding="utf-8")
    Path("train.txt").write_text(_chinese(), encoding="utf-8")
    _classes(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for given, command, shown in re.findall(
            r"^\$ (?:echo (.*) \| )?seqloom (.*)\n((?:[^$].*\n)*)", block, re.MULTILINE
        ):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((given.strip('"') + "\n").encode())))
            capfd.readouterr()
            assert main(shlex.split(command)) == 0
            assert not given or capfd.readouterr().out == shown


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=name_of)
def test_the_examples_of_a_page_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_cells", dict(registry._cells))
    monkeypatch.setenv(ENVIRONMENT, "")
    names: dict[str, object] = {"__name__": "page"}
    modules = set(sys.modules)
    text = page.read_text(encoding="utf-8")
    for kind, block in re.findall(r"^ *```(python|console)\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        block = textwrap.dedent(block)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_name_verbs_and_recipes_that_exist(page):
    text = page.read_text(encoding="utf-8")
    for verb in re.findall(r"(?:^ {4}|`|\$ |\| |bin/|-m )seqloom ([a-z]+)", text, re.MULTILINE):
        assert verb in VERBS, verb
    for recipe in re.findall(r"seqloom train ([a-z][a-z-]*) ", text):
        assert (RECIPES / f"{recipe}.yaml").exists(), recipe


def anchors(page: Path) -> set[str]:
    """What a link may name behind the # of a page: its headings, spelt as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
        place = page.parent / target if target else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


def test_every_page_is_named_by_the_readme_or_by_a_page_that_is():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        todo += [(page.parent / link).resolve() for link in links]
    assert not {page.resolve() for page in PAGES} - reached


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page):
    named = re.findall(
        r"`((?:seqloom|tests|csrc|benchmarks|examples|docs)/[\w./-]*)`", page.read_text(encoding="utf-8")
    )
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_page_of_rooms_has_the_order_that_the_linter_holds():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `seqloom/(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    levels = [re.findall(r"seqloom\.(\w+)", level) for level in contracts[0]["layers"]]
    assert sorted(rooms) == sorted(room for level in levels for room in level)
    level_of = {room: number for number, level in enumerate(levels) for room in level}
    assert [level_of[room] for room in rooms] == sorted(level_of.values())


def test_the_summary_of_results_repeats_the_figures_of_its_pages():
    for row in re.findall(r"^\|.*\|$", (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), re.MULTILINE):
        for page in re.findall(r"\]\((results/[\w-]+\.md)#", row):
            text = (ROOT / "docs" / page).read_text(encoding="utf-8")
            said = " ".join(row.split("|")[2:4])
            assert not [figure for figure in re.findall(r"\d[\d,]*(?:\.\d+)?", said) if figure not in text], row
