"""What predict writes: the input's own lines with other tags, entities at their characters, a stream in bounded memory."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.live import BLOCK
from seqloom.data.tagged.columns import with_field
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.output import PredictOptions, entities, predict

PEOPLE = BaselineTagger.fit(
    "most_frequent",
    [
        Sentence(("Ann", "Lee", "saw", "New", "York", "."), ("B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O")),
        Sentence(("<b>", "saw", "it"), ("O", "O", "O")),
    ],
    "bio",
)
PEOPLE.reading = {"columns": "text=0,tag=-1", "tag": "upos"}
WORDS = BaselineTagger.fit("most_frequent", [Sentence(("do", "n't", "."), ("AUX", "PART", "PUNCT"))])
WORDS.reading = {"columns": "text=0,tag=-1", "tag": "upos"}

CONLLU = """# newdoc id = x
# sent_id = 1
# text = don't.
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
1\tdo\tdo\tX\tVBP\tMood=Ind\t0\troot\t_\t_
2\tn't\tnot\tX\tRB\t_\t1\tadvmod\t_\t_
2.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_
3\t.\t.\tX\t.\t_\t1\tpunct\t_\t_

# a comment at the end of the file
"""
COLUMNS = """-DOCSTART- -X- O O

# id = 7
Ann  NNP B-NP X
Lee  NNP I-NP X

-DOCSTART- -X- O O

saw VBD B-VP X
New NNP B-NP X
York NNP I-NP X

"""


def written(model, text, **options):
    return list(predict(model, text.split("\n")[:-1], PredictOptions(**options)))


def test_conllu_comes_back_with_nothing_but_its_tags_changed():
    expected = CONLLU
    for word, tag in (("do", "AUX"), ("not", "PART"), (".", "PUNCT")):
        expected = expected.replace(f"\t{word}\tX\t", f"\t{word}\t{tag}\t")
    assert written(WORDS, CONLLU) == expected.split("\n")[:-1]


def test_columns_come_back_with_nothing_but_their_tags_changed():
    tags = iter(["B-PER", "I-PER", "O", "B-LOC", "I-LOC"])
    expected = [with_field(row, -1, next(tags)) if row.endswith(" X") else row for row in COLUMNS.split("\n")[:-1]]
    assert written(PEOPLE, COLUMNS) == expected
    assert "Ann  NNP B-NP B-PER" in expected


def test_a_column_can_be_named_or_added():
    found = written(PEOPLE, "Ann NNP\nsaw VBD\n\n", columns="text=0")
    assert found == ["Ann NNP B-PER", "saw VBD O", ""]
    assert written(PEOPLE, "NNP Ann\nVBD saw\n\n", columns="text=1,tag=0") == ["B-PER Ann", "O saw", ""]


def test_a_column_of_tokens_is_sentences_and_lines_of_text_are_not():
    assert written(PEOPLE, "Ann\nLee\nsaw\n\nNew\n\n") == ["Ann\tB-PER", "Lee\tI-PER", "saw\tO", "", "New\tB-LOC", ""]
    # Where nothing parts sentences, each line is one.
    assert written(PEOPLE, "Ann\nLee\n") == ["Ann\tB-PER", "", "Lee\tB-PER", ""]
    assert written(PEOPLE, "\n# intent = Say\nAnn\nsaw\n\nit\n")[-4:] == ["Ann\tB-PER", "saw\tO", "", "it\tO"]
    names = BaselineTagger.fit("most_frequent", [Sentence("李明说", ("B-PER", "I-PER", "O"))], "bio")
    names.reading = {"columns": "text=0,tag=-1", "tokens": "characters"}
    assert written(names, "李\n明\n\n说\n") == ["李\tB-PER", "明\tI-PER", "", "说\tO"]
    assert written(names, "李明说\n\n说\n", format="inline") == ["[PER 李明]说", "", "说"]


def test_running_text_is_tokenised_and_entities_stand_where_they_are_in_it():
    text = 'Ann Lee  saw (New York).\n{"text": "Ann"}\n\n'
    found = [json.loads(line) for line in written(PEOPLE, text, format="json", read_as="text")]
    assert [one["text"] for one in found] == text.split("\n")[:-1]
    assert found[0]["tokens"] == ["Ann", "Lee", "saw", "(", "New", "York", ")", "."]
    spans = [(one["start"], one["end"], one["text"]) for one in found[0]["entities"]]
    assert spans == [(0, 7, "Ann Lee"), (14, 22, "New York")]
    assert written(PEOPLE, text, format="inline", read_as="text")[0] == "[PER Ann Lee]  saw ([LOC New York])."
    assert written(PEOPLE, "Ann.\n", read_as="text") == ["Ann\tB-PER", ".\tO", ""]


@pytest.mark.parametrize(
    ("folder", "name", "reading"),
    [
        ("ud-english-ewt", "en_ewt-ud-dev.conllu.xz", {"tag": "xpos"}),
        ("ud-english-ewt", "en_ewt-ud-dev.conllu.xz", {"tag": "upos"}),
        ("ner-conll2003", "eng.testa.xz", {"columns": "text=0,tag=-1"}),
    ],
)
def test_real_files_come_back_as_they_were_under_their_own_tags(folder, name, reading):
    from seqloom.data.files import open_text
    from seqloom.data.tagged.formats import ReadOptions, read

    place = os.environ.get("SEQLOOM_DATA")
    if place is None:
        pytest.skip("SEQLOOM_DATA names no folder with data")
    path = Path(place) / folder / name

    class Oracle:
        """A tagger that knows the answers."""

        def __init__(self):
            self.scheme, self.reading = None, reading
            self.answers = iter(
                [list(sentence.tags) for sentence in read(path, options=ReadOptions(**reading)).sentences]
            )

        def predict_with_labels(self, sentences):
            return [(tags, None) for tags in itertools.islice(self.answers, len(sentences))]

    lines = [line for _, line in open_text(path)]
    assert list(predict(Oracle(), lines, PredictOptions())) == lines


def test_json_has_entities_at_their_characters_with_the_least_probable_token_as_score():
    (line,) = written(PEOPLE, '{"text": "Ann  Lee saw New York."}\n', format="json")
    found = json.loads(line)
    text = "Ann  Lee saw New York."
    assert found["text"] == text
    assert [(e["type"], e["start"], e["end"]) for e in found["entities"]] == [("PER", 0, 8), ("LOC", 13, 21)]
    assert all(e["text"] == text[e["start"] : e["end"]] for e in found["entities"])
    assert found["tokens"][:2] == ["Ann", "Lee"]
    assert len(found["tags"]) == len(found["probabilities"]) == len(found["tokens"]) == 6
    chances = np.array([1.0, 0.5, 0.9, 0.7, 0.8, 1.0])
    sentence = Sentence(("Ann", "Lee", "saw", "New", "York", "."), space_after=(True,) * 4 + (False, False))
    tags = ("B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O")
    text, spans = entities(sentence, tags, "bio", chances)
    assert text == "Ann Lee saw New York."
    assert [(span.text, span.score) for span in spans] == [("Ann Lee", 0.5), ("New York", 0.7)]


def test_plain_tags_have_probabilities_and_no_entities():
    (line,) = written(WORDS, "do n't\n", format="json")
    assert json.loads(line) == {
        "text": "do n't",
        "tokens": ["do", "n't"],
        "tags": ["AUX", "PART"],
        "probabilities": [1.0, 1.0],
    }


def test_spans_are_marked_in_the_text():
    assert written(PEOPLE, "Ann Lee saw New York .\n\n", format="inline") == [
        "[PER Ann Lee] saw [LOC New York] .",
        "",
    ]
    page = written(PEOPLE, "<b> saw Ann Lee\n", format="html")
    assert page[-2] == '<p>&lt;b&gt; saw <mark data-label="PER">Ann Lee<small>PER</small></mark></p>'
    legend = next(line for line in page if 'class="legend"' in line)
    assert legend.count("<mark") == 2
    assert '<mark data-label="AUX">do<small>AUX</small></mark>' in written(WORDS, "do n't\n", format="html")[-2]


def test_explanations_are_text_or_json():
    text = written(PEOPLE, "Ann saw\nsaw\n", explain=True, read_as="segmented")
    assert text[0].split() == ["token", "tag", "tags", "by", "probability"]
    assert text[1].split() == ["Ann", "B-PER", "B-PER", "1.000"]
    assert text.count("") == 2
    lines = written(PEOPLE, "Ann saw\nsaw\n", explain=True, format="json", read_as="segmented")
    assert [json.loads(line)["tags"] for line in lines] == [["B-PER", "O"], ["O"]]


@pytest.mark.parametrize("format", ["native", "plain", "json", "inline", "html"])
def test_an_endless_input_is_answered_block_by_block(format):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 2
            yield "Ann\tX"
            yield ""

    first = list(itertools.islice(predict(PEOPLE, endless(), PredictOptions(format=format)), 50))
    assert len(first) == 50
    assert taken <= 2 * BLOCK + 10


@pytest.mark.parametrize("format", ["native", "plain", "json", "inline"])
def test_nothing_in_gives_nothing_out(format):
    assert list(predict(PEOPLE, [], PredictOptions(format=format))) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"nbest": 0}, "--nbest: 0 is not a number"),
        ({"nbest": 2}, "--nbest above 1 needs --format plain or --format json"),
        ({"nbest": 2, "format": "html"}, "--nbest above 1 needs"),
        ({"explain": True, "format": "html"}, "--explain is written as text or with --format json, not as html"),
    ],
)
def test_what_does_not_go_together_is_named(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        written(PEOPLE, "Ann\n", **options)


def test_tags_that_spell_no_spans_cannot_be_marked():
    with pytest.raises(ConfigError, match="this model's tags spell none"):
        written(WORDS, "do\n", format="inline")
