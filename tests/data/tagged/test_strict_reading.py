"""Files that were once read wrong in silence: each is read right, or the check names the line that is not as it should be."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.check import check
from seqloom.data.tagged.columns import column_sentences
from seqloom.data.tagged.conversion import converted_lines
from seqloom.data.tagged.corpus import agreeing
from seqloom.data.tagged.formats import ReadOptions, read
from seqloom.data.tagged.offsets import tokenize
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

SPANS = "Ann\tB-PER\nLee\tI-PER\nsaw\tO\n\nRome\tB-LOC\nfell\tO\n\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="t.txt"):
        (tmp_path / name).write_bytes(text.encode())
        return tmp_path / name

    return write


def findings(path, severity="error", **options):
    report = check({"data": path}, options=ReadOptions(**options))
    return [(f.where.rpartition("/")[2], f.message) for f in report.findings if f.severity == severity]


@pytest.mark.parametrize(
    "comment",
    ["# id = 1", "# id a1-7 domain=en", "#id 1 2 3", "# a b c", "#\ta b", "# intent later b"],
)
def test_a_comment_of_as_many_fields_as_columns_is_one_and_is_carried_through(file, comment):
    text = f"{comment}\nAnn NNP I-NP B-PER\nsaw VBD I-VP O\n\n{comment}\nRome NNP I-NP B-LOC\n\n"
    path = file(text)
    corpus = read(path)
    assert [sentence.tokens for sentence in corpus.sentences] == [("Ann", "saw"), ("Rome",)]
    assert corpus.report.spans == {"LOC": 1, "PER": 1}
    assert list(converted_lines(path, "auto", ReadOptions(), "same", "", lambda line: None)) == text.split("\n")[:-1]
    if len(comment.split()) == 4:
        assert len([one for one in findings(path, "note") if "is read as a comment" in one[1]]) == 2


@pytest.mark.parametrize("row", ["#ff\tO", "#\tO", "#Ann\tB-PER", "#\tNN", "# O", "#ff O"])
def test_a_hash_that_is_a_token_stays_one(row):
    text = f"{row}\nyes{'	' if '	' in row else ' '}O\n\n{row}\n\n"
    found = list(column_sentences(enumerate(text.split("\n"), 1), "x"))
    assert [len(sentence) for sentence in found] == [2, 1]
    assert found[0].line == 1


@pytest.mark.parametrize(("slip", "hint"), [("0", "did you mean 'O'?"), ("B_PER", "such as 'B-PER'"), ("o", "'O'?")])
@pytest.mark.parametrize("scheme", ["", "bio"])
def test_one_odd_tag_is_a_finding_with_its_line_and_spans_stay_spans(file, slip, hint, scheme):
    path = file(SPANS * 4 + f"went\t{slip}\nhome\tO\n")
    ((where, message),) = findings(path, scheme=scheme)
    assert where == "t.txt:29"
    assert repr(slip) in message
    assert hint in message
    assert read(path, options=ReadOptions(scheme=scheme)).report.spans == {"LOC": 4, "PER": 4}
    with pytest.raises(DataError, match=rf"t\.txt:29: tag '{slip}' is not a tag of the scheme"):
        read(path, options=ReadOptions(scheme=scheme, convert="bioes"))


@pytest.mark.parametrize("mark", ["B_{}", "B:{}", "B/{}", "b-{}", "{}-B", "{}_B"])
@pytest.mark.parametrize("scheme", ["", "bio"])
def test_tags_of_spans_in_another_spelling_are_findings(file, mark, scheme):
    names = mark.format("PER"), mark.format("LOC")
    path = file(f"in\tO\nAnn\t{names[0]}\n\nRome\t{names[1]}\nfell\tO\n")
    where, message = findings(path, scheme=scheme)[0]
    assert where == "t.txt:2"
    assert repr(names[0]) in message
    assert "'B-PER'" in message


def test_parts_of_speech_are_no_misspelled_spans(file):
    tags = ["NOUN", "PRP$", "-LRB-", "NN|VB", "S", "B", "V-S", "ADJ", "."]
    path = file("".join(f"w{index}\t{tag}\n" for index, tag in enumerate(tags)))
    assert findings(path) == []
    assert read(path).report.scheme.scheme is None


@pytest.mark.parametrize("header", ["word\tlabel", "Token\tTag", "sentence_id\tword\tpos\tner_tags"])
def test_a_header_is_no_token_and_names_the_columns(file, header):
    width = header.count("\t") + 1
    rows = [["Ann", "B-PER"], ["saw", "O"], [], ["Rome", "B-LOC"]]
    wide = ["\t".join(row if width == 2 else ["7", row[0], "X", row[1]]) if row else "" for row in rows]
    path = file("\n".join([header, *wide, ""]))
    corpus = read(path)
    assert [sentence.tokens for sentence in corpus.sentences] == [("Ann", "saw"), ("Rome",)]
    assert corpus.sentences[0].tags == ("B-PER", "O")
    assert findings(path, "warning")[0] == ("t.txt:1", f"{header!r} is read as the names of the columns")
    written = list(converted_lines(path, "auto", ReadOptions(), "same", "", lambda line: None))
    assert written == path.read_text().split("\n")[:-1]


def test_another_header_is_a_finding_with_its_line(file):
    ((where, message),) = findings(file("Wort\tMarke\n" + SPANS * 3))
    assert (where, "is the line a header?" in message) == ("t.txt:1", True)


@pytest.mark.parametrize("header", ["word,tag", "Sentence #,Word,POS,Tag", "token;label"])
def test_separated_values_are_refused_by_name(file, header):
    ((where, message),) = findings(file(header + "\nAnn,B-PER\n"))
    assert where == "t.txt:1"
    assert "separated by" in message


def test_the_columns_of_conllu_plus_are_those_of_its_header(file):
    text = (
        "# global.columns = ID FORM UPOS NER\n# text = Ann's mar\n1-2\tAnn's\t_\t_\n1\tAnn\tPROPN\tB-PER\n2\t's\tPART\tO\n"
        "2.1\tx\t_\t_\n3\tmar\tNOUN\tO\n\n1\tRome\tPROPN\tB-LOC\n"
    )
    path = file(text)
    first, second = read(path).sentences
    assert (first.tokens, first.tags) == (("Ann", "'s", "mar"), ("B-PER", "O", "O"))
    assert (second.tokens, second.tags) == (("Rome",), ("B-LOC",))
    assert read(path, options=ReadOptions(tag="xpos")).sentences[0].tags == ("B-PER", "O", "O")
    assert read(path, options=ReadOptions(columns="text=1,tag=2,id=0")).sentences[1].tags == ("PROPN",)
    assert list(converted_lines(path, "auto", ReadOptions(), "same", "", lambda line: None)) == text.split("\n")[:-1]


def test_a_column_that_counts_is_no_column_of_words(file):
    ((where, message), *_) = findings(file("1\tAnn\tB-PER\n2\tsaw\tO\n\n1\tRome\tB-LOC\n"))
    assert where == "t.txt:1"
    assert "name the column of the words" in message


def test_one_word_without_a_tag_makes_no_words_of_all_tags(file):
    path = file("我/r 是/v 人/n\n他/r 是/v 人/n 。\n")
    assert findings(path) == [("t.txt:2", "'。' is not a word and its tag; expected 'word/tag', as in '中国/ns'")]
    half = file("我/r 是/v 人/n\n他 是 人 。\n")
    assert findings(half)[0][0] == "t.txt:2"
    assert findings(file("他 是 and/or 。\n我 是 人\n")) == []


def test_a_tab_in_a_file_of_spaces_costs_no_column(file):
    text = "sang VBD I-VP O\nAnn NNP\tI-NP B-PER\n\nsang VBD I-VP O \n \nRome NNP I-NP B-LOC\t\n"
    path = file(text)
    assert list(converted_lines(path, "auto", ReadOptions(), "same", "", lambda line: None)) == text.split("\n")[:-1]
    found = list(converted_lines(path, "auto", ReadOptions(), "same", "bioes", lambda line: None))
    assert found == text.replace("B-PER", "S-PER").replace("B-LOC", "S-LOC").split("\n")[:-1]


@pytest.mark.parametrize(
    ("record", "tags"),
    [
        ({"text": "Ann Lee sang.", "labels": [[0, 7, "PER"]]}, ("B-PER", "I-PER", "O", "O")),
        (["Ann Lee sang.", {"entities": [[0, 7, "PER"]]}], ("B-PER", "I-PER", "O", "O")),
        (
            {"text": "Ann Lee", "entities": [{"id": 1, "start_offset": 0, "end_offset": 7, "label": "P"}]},
            ("B-P", "I-P"),
        ),
        ({"id": "0", "tokens": ["Ann", "sang"], "ner_tags": ["B-PER", "O"]}, ("B-PER", "O")),
        ({"tokens": ["Ann", "sang"], "labels": ["B-PER", "O"]}, ("B-PER", "O")),
        ({"text": "Ann Lee  sang", "spans": [[0, 9, "PER"]]}, ("B-PER", "I-PER", "O")),
    ],
)
def test_the_json_of_annotation_tools_is_read(file, record, tags):
    path = file(json.dumps(record) + "\n")
    assert read(path).sentences[0].tags == tags
    assert [message for _, message in findings(path) if "every token" not in message] == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tokens": ["Ann"], "ner_tags": [1]}, "'ner_tags' holds numbers"),
        ({"tokens": ["a"], "ner_tags": ["O"], "pos_tags": ["X"]}, "'ner_tags', 'pos_tags' are lists of tags"),
        ({"text": "Ann", "annotations": [[0, 3, "PER"]]}, "no tags were found, and 'annotations' was not read"),
        ({"text": "😂 Ann sang", "label": [[3, 6, "PER"]]}, "the offsets fit as UTF-16 units"),
        ({"text": "😂 Ann", "label": [[3, 7, "PER"]]}, "does not lie within 5 characters"),
        ({"text": "é Ann sang", "label": [[3, 6, "PER"]]}, "the offsets fit as UTF-8 bytes"),
        ({"text": "Ann sang", "label": [[0, 2, "PER"]]}, "the ends seem to name the last character"),
        (["Ann", "PER"], "the line is a JSON list"),
    ],
)
def test_other_json_is_refused_by_what_it_holds(file, record, message):
    found = findings(file(json.dumps(record, ensure_ascii=False) + "\n"))
    assert any(where == "t.txt:1" and message in said for where, said in found)


@pytest.mark.parametrize("other", ["bioes", "iob1", "bilou", "bmes"])
def test_tags_of_another_scheme_become_those_of_the_model(other):
    from seqloom.data.tagged.schemes import convert

    tags = [("B-X", "I-X", "O", "B-Y"), ("O", "O"), ("B-X", "I-X", "I-X", "O")]
    sentences = [Sentence(["w"] * len(some), tuple(convert(some, "bio", other))) for some in tags]
    found, before = agreeing(sentences, "bio")
    assert [sentence.tags for sentence in found] == tags
    assert before.name == other
    assert agreeing(found, "bio") == (found, None)
    back, _ = agreeing([Sentence(["w"] * len(some), some) for some in tags], other)
    assert [sentence.tags for sentence in back] == [sentence.tags for sentence in sentences]


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (("NN", "VB"), "bio", r"t:7: tag 'NN' is not a tag of the scheme bio"),
        (None, "bio", r"t:7: the sentence has no tags"),
        (("B-X", "Q-X"), "bio", r"t:7: tag 'Q-X' is not a tag"),
        (("NN", "VB"), None, r"t:7: no tag of the file is one of the model's, such as ADJ, NOUN"),
    ],
)
def test_tags_that_cannot_become_the_models_are_named_with_their_line(tags, scheme, message):
    with pytest.raises(DataError, match=message):
        agreeing([Sentence(["a", "b"], tags, line=7, source="t")], scheme, ["NOUN", "ADJ"])


def test_all_outside_fits_every_scheme():
    sentences = [Sentence(["a"], ("O",))]
    assert agreeing(sentences, "bioes") == (sentences, None)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("See https://a.org/x_(y). (www.b.de/z)", "See|https://a.org/x_(y)|.|(|www.b.de/z|)"),
        ("me.you+x@a-b.co.uk, ok", "me.you+x@a-b.co.uk|,|ok"),
        (
            "1,000.50 12:30 3/4 2024-01-31 1'000 1\u00a0000\u00a0000",
            "1,000.50|12:30|3/4|2024-01-31|1'000|1\u00a0000\u00a0000",
        ),
        ("👩\u200d👩\u200d👧👍🏽🇩🇪🇫🇷1\ufe0f\u20e3❤\ufe0f!", "👩\u200d👩\u200d👧|👍🏽|🇩🇪|🇫🇷|1\ufe0f\u20e3|❤\ufe0f|!"),
        ("cafe\u0301 col·lecció п'ять צה״ל नमस्ते", "cafe\u0301|col·lecció|п'ять|צה״ל|नमस्ते"),
        ("我在https://a.cn/b，好", "我在|https://a.cn/b|，|好"),
        ("don't stop: U.S. 'x' 5-6", "don|'|t|stop|:|U.S.|'|x|'|5|-|6"),
        ("http:// a@b", "http|:|/|/|a|@|b"),
    ],
)
def test_text_keeps_together_what_a_reader_keeps_together(text, tokens):
    assert [text[start:end] for start, end in tokenize(text, whole=True)] == tokens.split("|")


@given(st.text(alphabet="aé1.,:/@h tpw-'\u0301👩\u200d🏽🇩·Я我（\u20e3", max_size=40))
@settings(deadline=None, max_examples=200)
def test_tokens_cover_a_text_but_for_its_white_space(text):
    for whole in (False, True):
        places = tokenize(text, whole)
        assert all(start < end for start, end in places)
        assert all(one[1] <= other[0] for one, other in pairwise(places))
        covered = {index for start, end in places for index in range(start, end)}
        assert all(character.isspace() for index, character in enumerate(text) if index not in covered)


def test_a_header_with_blanks_around_its_names_names_the_columns(tmp_path):
    file = tmp_path / "train.tsv"
    file.write_text("id\tword \t label\n1\tAnn\tB-PER\n2\tran\tO\n", encoding="utf-8")
    corpus = read(file)
    assert corpus.sentences[0].tokens == ("Ann", "ran")
    assert corpus.sentences[0].tags == ("B-PER", "O")


def test_blanks_behind_a_tag_make_no_other_tag(tmp_path):
    file = tmp_path / "train.tsv"
    file.write_text("Ann\tB-PER \nran\tO\n\nBo\tB-PER\nsat\tO\n", encoding="utf-8")
    assert read(file).report.spans == {"PER": 2}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train.ann", "T1\tPER 0 3\tAnn\nT2\tLOC 10 14\tOslo\n", "annotation of brat"),
        ("train.csv", "Ann,B-PER\nran,O\n\nBo,B-PER\n", "columns separated by commas are not read"),
        ("train.txt", "Ann;B-PER\nran;O\n", "columns separated by semicolons are not read"),
        ("train.json", '[["Ann ran", {"entities": [[0, 3, "PER"]]}]]\n', "the line is a JSON list"),
    ],
)
def test_files_of_other_tools_are_refused_by_name(tmp_path, name, content, says):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read(tmp_path / name)


def test_tags_behind_an_underscore_are_a_finding(tmp_path):
    (tmp_path / "train.txt").write_text("The_DT cat_NN ran_VBD\nA_DT dog_NN sat_VBD\n", encoding="utf-8")
    found = check({"train": tmp_path / "train.txt"}).findings
    assert any("6 of 6 words have a tag behind '_'" in finding.message for finding in found)
