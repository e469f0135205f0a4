"""The legal moves of the tag schemes."""

import itertools

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.losses import Constraints


def legal_strings(names, scheme, length):
    """All strings that the three arrays admit, by trying every one."""
    legal = Constraints.from_tags(names, scheme=scheme)
    found = []
    for path in itertools.product(range(len(names)), repeat=length):
        moves = all(legal.transition[before, after] for before, after in itertools.pairwise(path))
        if legal.start[path[0]] and moves and legal.end[path[-1]]:
            found.append(" ".join(names[tag] for tag in path))
    return found


def segmentations(length):
    """Tags of every way to cut ``length`` characters into words."""
    for cuts in itertools.product([False, True], repeat=length - 1):
        sizes = [len(list(run)) for run in _words(cuts)]
        yield " ".join(" ".join("S" if n == 1 else "B" + " M" * (n - 2) + " E" for n in sizes).split())


def _words(cuts):
    word = [0]
    for position, cut in enumerate(cuts, start=1):
        if cut:
            yield word
            word = []
        word.append(position)
    yield word


@pytest.mark.parametrize("length", range(1, 7))
def test_the_legal_bmes_strings_are_the_segmentations(length):
    found = legal_strings(["B", "M", "E", "S"], "BMES", length)
    assert len(found) == 2 ** (length - 1)
    assert set(found) == set(segmentations(length))


def _spans_are_well_formed(string, inside, explicit_end):
    """A slow reading of a tag string, letter by letter."""
    open_type = None
    for tag in string.split():
        letter, _, span_type = tag.partition("-")
        continues = letter in (inside, "E") if explicit_end else letter == inside
        if continues and open_type != span_type:
            return False
        if not continues and explicit_end and open_type is not None:
            return False
        closed = letter in ("O", "E", "S")
        open_type = None if closed else span_type
    return open_type is None or not explicit_end


@pytest.mark.parametrize(
    ("scheme", "letters", "inside", "explicit_end"),
    [("BIO", "BI", "I", False), ("BIOES", "BIES", "I", True), ("BMES", "BMES", "M", True)],
)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_typed_schemes_admit_exactly_the_well_formed_spans(scheme, letters, inside, explicit_end, length):
    names = ["O", *(f"{letter}-{span_type}" for span_type in ("PER", "LOC") for letter in letters)]
    found = set(legal_strings(names, scheme, length))
    every = (" ".join(path) for path in itertools.product(names, repeat=length))
    assert found == {string for string in every if _spans_are_well_formed(string, inside, explicit_end)}


@pytest.mark.parametrize(
    ("names", "scheme", "message"),
    [
        (["B", "X"], "BMES", "'X' is not one of BMES"),
        (["B-", "O"], "BIO", "'B-' is not"),
        (["M-PER"], "BIO", "'M-PER' is not one of BIO"),
        (["O-PER"], "BIO", "'O-PER' is not"),
        (["B", "E", "B"], "BMES", "'B' occurs twice"),
        (["B"], "BIOE", "'BIOE' is not known; did you mean 'BIOES'"),
    ],
)
def test_a_tag_outside_its_scheme_is_named(names, scheme, message):
    with pytest.raises(ConfigError, match=message):
        Constraints.from_tags(names, scheme=scheme)


def test_arrays_that_disagree_are_refused():
    yes = torch.ones(2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"Constraints.transition must be a boolean tensor of shape \(2, 2\)"):
        Constraints(yes, yes, yes)
    with pytest.raises(ValueError, match=r"Constraints.end must be a boolean"):
        Constraints(yes, torch.ones(2, 2, dtype=torch.bool), torch.ones(2))
