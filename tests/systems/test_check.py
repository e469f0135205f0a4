"""The standard battery over the registry, and over what is planted to fail it."""

import dataclasses
import functools
import importlib.util
import sys
from pathlib import Path

import pytest

from seqloom.systems import check
from seqloom.systems.check import CHECKS, Subject, SystemCheckError
from seqloom.systems.registry import SYSTEMS


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    return functools.cache(lambda name: Subject(SYSTEMS[name].create(), tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("part", CHECKS, ids=lambda part: part.__name__)
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_passes_the_battery(name, part, subjects):
    part(subjects(name))


# What is planted to fail ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    """The module of the system in one file."""
    known = dict(SYSTEMS)
    spec = importlib.util.spec_from_file_location("rows_of_csv", Path(__file__).with_name("csv_classifier.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["rows_of_csv"] = module
    spec.loader.exec_module(module)
    yield module
    SYSTEMS.clear()
    SYSTEMS.update(known)
    del sys.modules["rows_of_csv"]


def learns_nothing(rows):
    class Mutant(rows.CsvSystem):
        def sample(self):
            sample = super().sample()
            return dataclasses.replace(sample, goal=("accuracy", 1.5, 2.0))

    return Mutant, check.check_learns


def forgets_a_weight(rows):
    class Mutant(rows.CsvSystem):
        def restore(self, directory):
            model = super().restore(directory)
            model.network.read_out.bias.data.zero_()
            return model

    return Mutant, check.check_saved


def resumes_with_other_chances(rows):
    class Corpus(rows.Rows):
        calls = 0

        def batch(self, indices, random=None):
            Corpus.calls += 1
            batch = super().batch(indices, random)
            return batch._replace(values=batch.values + 0.01 * Corpus.calls) if random is not None else batch

    class Mutant(rows.CsvSystem):
        def encode(self, model, examples):
            encoded = super().encode(model, examples)
            encoded.__class__ = Corpus
            return encoded

    return Mutant, check.check_resumes


def looks_at_its_neighbours(rows):
    class Mutant(rows.CsvSystem):
        def predict(self, model, source, options):
            lines = list(source.lines())
            return (f"{len(lines)}" for _ in lines)

    return Mutant, check.check_batching


def reads_the_padding(rows):
    class Network(rows.Classifier):
        def scores(self, batch):
            return self.read_out(self.encoder(batch.values)[1].h[:, 0])

    class Mutant(rows.CsvSystem):
        def build(self, config, splits):
            model, corpus = super().build(config, splits)
            model.network.__class__ = Network
            return model, corpus

    return Mutant, check.check_batching


def says_nothing_of_an_option(rows):
    @dataclasses.dataclass(frozen=True)
    class Options:
        format: str = "plain"
        nbest: int = 1

    class Mutant(rows.CsvSystem):
        options = Options

    return Mutant, check.check_documented


def falls_over_a_broken_file(rows):
    class Mutant(rows.CsvSystem):
        def read(self, source, data):
            if source.is_named:
                raise UnicodeDecodeError("utf-8", b"x", 0, 1, "planted")
            return super().read(source, data)

    return Mutant, check.check_bad_input


def takes_any_file(rows):
    class Mutant(rows.CsvSystem):
        def read(self, source, data):
            return super().read(source, data) if not source.is_named else rows.Dataset([])

    return Mutant, check.check_bad_input


MUTANTS = (
    learns_nothing,
    forgets_a_weight,
    resumes_with_other_chances,
    looks_at_its_neighbours,
    reads_the_padding,
    says_nothing_of_an_option,
    falls_over_a_broken_file,
    takes_any_file,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_planted_fault_is_found_by_its_check(mutant, rows, tmp_path):
    planted, finds = mutant(rows)
    with pytest.raises(SystemCheckError, match="csv_classifier: "):
        finds(Subject(planted(), tmp_path))
