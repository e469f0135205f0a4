"""Families stand alone, names that are resolved at run time included, which the linter cannot see."""

import re
from pathlib import Path

import pytest

import seqloom

SYSTEMS = Path(seqloom.__file__).parent / "systems"
FAMILIES = sorted(folder.name for folder in SYSTEMS.iterdir() if (folder / "__init__.py").is_file())


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_names_the_inside_of_another(family):
    others = "|".join(set(FAMILIES) - {family})
    for file in (SYSTEMS / family).rglob("*.py"):
        found = re.findall(rf"seqloom\.systems\.(?:{others})\b", file.read_text(encoding="utf-8"))
        assert not found, f"{file} names {found}"


def test_what_families_share_names_them_in_the_registry_alone():
    inside = "|".join(FAMILIES)
    for file in SYSTEMS.glob("*.py"):
        if file.name != "registry.py":
            found = re.findall(rf"seqloom\.systems\.(?:{inside})\b", file.read_text(encoding="utf-8"))
            assert not found, f"{file} names {found}"


def test_the_linter_holds_every_family():
    configuration = (SYSTEMS.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r'type = "independence"\nmodules = \[(.*?)\]', configuration, re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r"seqloom\.systems\.(\w+)", listed.group(1))) == FAMILIES
