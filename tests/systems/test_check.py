"""The standard battery over the registry, and over what is planted to fail it."""

import functools

import pytest

from seqloom.systems.check import CHECKS, Subject
from seqloom.systems.registry import SYSTEMS


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    return functools.cache(lambda name: Subject(SYSTEMS[name].load(), tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_passes_the_battery(name, check, subjects):
    check(subjects(name))
