"""Schemes: tags and spans say the same, legality is exactly what spans can spell, both modes equal seqeval's."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from seqloom.data.tagged.legality import check_tags, constraints, detect_scheme, illegal_tags
from seqloom.data.tagged.schemes import SCHEMES, Span, convert, label_table, scheme_named, spans_from, tags_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError

LABELS = ("X", "Y-Z")


@st.composite
def spans_in(draw, labels=LABELS):
    """Spans within a few tokens, touching ones of one label included."""
    spans, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 4))
        spans.append(Span(start, at, draw(st.sampled_from(labels))))
    return spans, at + draw(st.integers(0, 2))


def tag_set(name, labels=LABELS):
    scheme = SCHEMES[name]
    return ["O", *(scheme.tag(letter, label) for letter in sorted(scheme.letters) for label in labels)]


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("labels", [LABELS, ("",)])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_spans_survive_tags_in_every_scheme_and_conversion_to_any_other(name, labels, data):
    spans, length = data.draw(spans_in(labels))
    tags = tags_from(spans, length, name)
    assert len(tags) == length
    assert spans_from(tags, name) == spans
    assert spans_from(tags, name, strict=True) == spans
    assert illegal_tags(tags, name) == []
    for other in SCHEMES:
        there = convert(tags, name, other)
        assert spans_from(there, other) == spans
        assert convert(there, other, name) == tags


@pytest.mark.parametrize("name", SCHEMES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_conversion_keeps_the_spans_of_any_tags_legal_or_not(name, data):
    tags = data.draw(st.lists(st.sampled_from(tag_set(name)), max_size=10))
    for other in SCHEMES:
        assert spans_from(convert(tags, name, other), other) == spans_from(tags, name)
        assert illegal_tags(convert(tags, name, other), other) == []


@pytest.mark.parametrize("name", SCHEMES)
def test_legal_are_exactly_the_tags_that_spans_can_spell(name):
    names = tag_set(name, ("X", "Y"))
    between, start, end = constraints(names, name)
    for length in range(1, 4):
        for choice in product(range(len(names)), repeat=length):
            tags = [names[index] for index in choice]
            spelled = tags_from(spans_from(tags, name), length, name) == tags
            masked = start[choice[0]] and end[choice[-1]] and between[choice[:-1], choice[1:]].all()
            assert (illegal_tags(tags, name) == []) == spelled == bool(masked)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_legal_scheme_gives_one_reading_in_both_modes(name):
    names = tag_set(name, ("X",))
    for tags in product(names, repeat=4):
        if not illegal_tags(tags, name):
            assert spans_from(tags, name) == spans_from(tags, name, strict=True)


@pytest.mark.parametrize("name", ["bio", "iob1", "bioes"])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_the_default_mode_reads_as_conlleval_and_seqeval_do(name, data):
    tags = data.draw(st.lists(st.sampled_from(tag_set(name)), max_size=12))
    assert [(label, start, end - 1) for start, end, label in spans_from(tags, name)] == get_entities(tags)


@pytest.mark.parametrize(("name", "scheme"), [("bio", IOB2), ("bioes", IOBES), ("bilou", BILOU)])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_the_strict_mode_reads_as_seqeval_does(name, scheme, data):
    tags = data.draw(st.lists(st.sampled_from(tag_set(name)), min_size=1, max_size=12))
    found = [(entity.start, entity.end, entity.tag) for entity in Entities([tags], scheme).entities[0]]
    assert [tuple(span) for span in spans_from(tags, name, strict=True)] == found


def test_iob1_read_as_bio_would_lose_touching_spans():
    tags = ["I-PER", "B-PER", "I-LOC"]
    assert convert(tags, "iob1", "bio") == ["B-PER", "B-PER", "B-LOC"]
    assert convert(tags, "iob1", "bioes") == ["S-PER", "S-PER", "S-LOC"]


@settings(deadline=None, max_examples=80)
@given(st.data(), st.sampled_from(sorted(SCHEMES)))
def test_the_scheme_is_recognised_where_the_tags_show_it(data, name):
    spans, length = data.draw(spans_in())
    marks = [Span(0, 1, "X"), Span(1, 4, "X"), Span(4, 5, "X"), Span(6, 7, "X")]
    found = detect_scheme([tags_from(spans, length, name), tags_from(marks, 7, name)])
    assert found.scheme is SCHEMES[name]
    assert found.conflicts == 0


def test_direct_tagging_reads_as_the_survey_writes_it():
    """The label set {BN, MN, EN, BA, MA, EA, BO, MO, EO, O}; a span of one character is B alone."""
    tags = ["BN", "MN", "EN", "O", "BA", "EA", "BO", "EO"]
    assert spans_from(tags, "direct") == [Span(0, 3, "N"), Span(4, 6, "A"), Span(6, 8, "O")]
    assert detect_scheme([tags]).scheme is SCHEMES["direct"]
    assert spans_from(["BN", "BN", "O", "BO"], "direct") == [Span(0, 1, "N"), Span(1, 2, "N"), Span(3, 4, "O")]
    names = [*(letter + label for label in "NAO" for letter in "BME"), "O"]
    between, start, end = constraints(names, "direct")
    for before in names:  # BX -> {MX, EX, B*, O}; MX -> {MX, EX}; EX -> {B*, O}; O -> {B*, O}
        own = {letter + before[1:] for letter in "ME"} if before[0] in "BM" and before != "O" else set()
        openings = set() if before[0] == "M" else {"BN", "BA", "BO", "O"}
        assert {name for name, allowed in zip(names, between[names.index(before)], strict=True) if allowed} == (
            own | openings
        )
    assert {name for name, allowed in zip(names, start, strict=True) if allowed} == {"BN", "BA", "BO", "O"}
    assert {name for name, allowed in zip(names, end, strict=True) if not allowed} == {"MN", "MA", "MO"}


def test_direct_labels_have_names_in_the_other_schemes():
    tags = ["BN", "EN", "BO", "O", "BMISC"]
    there = convert(tags, "direct", "bioes", label_table("direct", "bioes"))
    assert there == ["B-PER", "E-PER", "S-ORG", "O", "S-MISC"]
    assert convert(there, "bioes", "direct", label_table("bioes", "direct")) == tags
    assert label_table("direct", "direct") == label_table("bio", "bioes") == {}


@pytest.mark.parametrize(
    ("tags", "name"),
    [(["BN", "O"], "direct"), (["MN", "EA"], "direct"), (["BX", "MX", "EX"], "direct"), (["MD", "EX"], None),
     (["B-NN", "E-NN", "S-v"], "bmes"),
     (["O", "O"], None), (["NN", "-LRB-", "X"], None), (["B", "E", "S"], "bmes"), (["S", "S"], "bmes"),
     (["B", "I", "O"], "bio"), (["B-x", "E-x"], "bmes"), (["B-x", "O", "S-x"], "bioes"), (["v", "n"], None),
     (["I-x"], "iob1"), ([], None)],
)  # fmt: skip
def test_small_tag_sets(tags, name):
    found = detect_scheme([tags]).scheme
    assert (found.name if found else None) == name


def test_mixed_schemes_are_reported():
    found = detect_scheme([["B-X", "I-X", "O", "B-X"]] * 5 + [["O", "I-X"]])
    assert found.scheme is SCHEMES["bio"]
    assert found.conflicts == 1
    assert found.reason.endswith("1 place breaks it")
    assert detect_scheme([["B-X", "M-X", "E-X", "B-X", "I-X", "E-X"]]).conflicts > 0


def test_illegal_tags_are_named_with_file_and_line():
    rows = ("a O", "b I-X", "c B-Y", "")
    sentence = Sentence(
        ("a", "b", "c"), ("O", "I-X", "B-Y"), line=41, source="t.conll", rows=rows, token_rows=(0, 1, 2)
    )
    with pytest.raises(DataError, match=r"^t\.conll:42: tag 'I-X' continues no span of 'X' \(after 'O'\)"):
        check_tags(sentence, "bio")
    with pytest.raises(DataError, match=r"^t\.conll:43: tag 'B-Y' parts no two spans"):
        check_tags(sentence, "iob1")
    assert illegal_tags(["B-X", "O"], "bioes") == [(0, "'B-X' leaves its span open; expected 'I' or 'E' after it")]
    assert illegal_tags(["I-X"], "bioes")[0][1] == "'I-X' continues no span of 'X' (at the start)"
    assert illegal_tags(["NN"], "bio") == [(0, "'NN' is not a tag of the scheme bio")]


def test_wrong_arguments_are_refused():
    assert scheme_named("IOBES") is SCHEMES["bioes"]
    with pytest.raises(ConfigError, match="did you mean 'bioes'"):
        scheme_named("bioe")
    with pytest.raises(ValueError, match=r"tags\[1\] is 'M-X'"):
        spans_from(["O", "M-X"], "bio")
    with pytest.raises(ValueError, match="overlap"):
        tags_from([Span(0, 2, "X"), Span(1, 3, "X")], 4, "bio")
    with pytest.raises(ValueError, match="does not lie within 2"):
        tags_from([Span(1, 3, "X")], 2, "bio")
    with pytest.raises(ValueError, match="not a tag of the scheme"):
        constraints(["O", "NN"], "bio")
    assert constraints([], "bio")[0].shape == (0, 0)
    assert isinstance(constraints(["O"], "bio")[0], np.ndarray)
