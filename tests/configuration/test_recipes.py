from dataclasses import dataclass, field

import pytest
import yaml

from seqloom.configuration import RECIPES, read_recipe, to_commented_yaml, to_yaml
from seqloom.errors import ConfigError
from seqloom.systems.registry import system


@dataclass(frozen=True)
class Model:
    sizes: dict[str, int] = field(default_factory=lambda: {"token": 5})
    layers: int = 1
    cell: str = "lstm"


@dataclass(frozen=True)
class Config:
    """All of it.

    Args:
        title: what it is called. And more.
    """

    title: str = ""
    model: Model = field(default_factory=Model)


@pytest.fixture
def recipe(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_recipe(str(tmp_path / name))

    return write


def put(recipe, *pairs):
    for key, text in pairs:
        recipe = recipe.with_option(Config, key, text, f"--{key}")
    return recipe.build(Config)


def test_a_recipe_wins_over_what_it_extends_key_by_key(recipe, tmp_path):
    recipe("base.yaml", "title: base\nmodel:\n  layers: 2\n  sizes: {token: 1, word: 2}\n")
    mine = recipe("mine.yaml", f"extends: {tmp_path / 'base.yaml'}\nmodel:\n  sizes: {{word: 3}}\n")
    assert mine.build(Config) == Config("base", Model({"token": 1, "word": 3}, 2))
    assert mine.place("model.sizes.word") == f"{tmp_path / 'mine.yaml'}:3"
    assert mine.place("model.layers") == f"{tmp_path / 'base.yaml'}:3"


def test_a_section_whose_lines_are_all_comments_changes_nothing(recipe, tmp_path):
    recipe("base.yaml", "model:\n  layers: 2\n")
    mine = recipe("mine.yaml", f"extends: {tmp_path / 'base.yaml'}\nmodel:\n  # layers: 3\n")
    assert mine.build(Config).model.layers == 2


def test_options_set_values_entries_mappings_and_sections(recipe):
    plain = recipe("a.yaml", "title: a\n")
    sized = recipe("b.yaml", "model:\n  sizes: {a: 1, b: 2}\n")
    assert put(plain, ("model.layers", "3"), ("title", "7")) == Config("7", Model(layers=3))
    assert put(plain, ("model.sizes.word", "7")).model.sizes == {"token": 5, "word": 7}
    assert put(sized, ("model.sizes.a", "5")).model.sizes == {"a": 5, "b": 2}
    assert put(sized, ("model.sizes", "{c: 3}")).model.sizes == {"c": 3}
    assert put(plain, ("model.sizes", "{a: 3}"), ("model.sizes.b", "4")).model.sizes == {"a": 3, "b": 4}
    assert put(plain, ("model.layers", "5"), ("model", "{cell: gru}")).model == Model(layers=5, cell="gru")


def test_a_wrong_option_is_named_itself_even_over_a_line_of_the_recipe(recipe):
    sized = recipe("b.yaml", "model:\n  sizes: {a: 1}\n")
    for key, text, start in [
        ("model.sizes", "{a: x}", "--model.sizes.a: 'x' is not a whole number"),
        ("model.sizes.a", "x", "--model.sizes.a: 'x' is not a whole number"),
        ("model", "{q: 4}", "'--model.q' is not a known key"),
        ("model", "3", "--model: '3' is not a section"),
    ]:
        with pytest.raises(ConfigError) as caught:
            put(sized, (key, text))
        assert str(caught.value).startswith(start)


def test_python_gives_sections_as_an_extending_recipe_would(recipe):
    sized = recipe("b.yaml", "model:\n  sizes: {a: 1}\n  layers: 2\n")
    built = sized.merged({"title": "t", "model": {"sizes": {"b": 2}, "cell": "gru"}}).build(Config)
    assert built == Config("t", Model({"a": 1, "b": 2}, 2, "gru"))
    with pytest.raises(ConfigError, match=r"^model\.layers: 'x' is not a whole number"):
        sized.merged({"model": {"layers": "x"}}).build(Config)
    with pytest.raises(ConfigError, match=r"^'modle' is not a known key; did you mean 'model'\?"):
        sized.merged({"modle": {}}).build(Config)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [1\n", "- a\n", "\ufeffa: {b: 1, b: 2}"])
def test_what_is_no_recipe_is_refused_in_one_sentence_with_the_file(recipe, text):
    with pytest.raises(ConfigError, match=r"a\.yaml:") as caught:
        recipe("a.yaml", text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_a_printed_configuration_is_a_recipe_that_gives_itself(name, recipe):
    shipped = read_recipe(name)
    config_class = system(shipped.system).config_class()
    config = shipped.build(config_class)
    for text in (to_yaml(config), to_commented_yaml(config)):
        assert recipe("again.yaml", text).build(config_class) == config


def test_comments_stand_behind_their_keys_and_never_change_a_value():
    assert to_commented_yaml(Config("a")).startswith("title: a                     # what it is called\n")
    broken = Config("two lines # here\n\nand more")
    assert yaml.safe_load(to_commented_yaml(broken))["title"] == broken.title
