"""Dictionaries: what a file may hold, what a user's entry may change, and what survives storing."""

import gzip
import lzma
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import DataError
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry, read_word_file

ENTRIES = st.builds(
    UserEntry,
    st.sampled_from(["prefer", "force"]),
    st.none() | st.integers(0, 1000).map(float),
    st.sampled_from(["", "n", "nr"]),
)


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_bom_crlf_blank_lines_and_repeats_are_tolerated_and_counted(tmp_path, ending):
    data = "\ufeff云计算 5 n\r\n台中\r\n\r\n凱特琳 nz\r\n云计算 3\r\n".encode()
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending]
    entries, report = read_word_file(write(tmp_path / f"words.txt{ending}", pack(data)), "force")
    assert entries == {
        "云计算": UserEntry("force", 5.0, "n"),
        "台中": UserEntry("force", None, ""),
        "凱特琳": UserEntry("force", None, "nz"),
    }
    assert (report.loaded, report.blank, report.repeated) == (3, 1, 1)
    assert str(report).endswith("3 words loaded, 1 blank and 1 repeated lines skipped")


@pytest.mark.parametrize("frequency", ["-1", "12x", "nan", "inf", "1e999", "．"])
def test_a_malformed_frequency_is_named_with_its_line_and_the_rest_of_the_file_counts(tmp_path, frequency):
    path = write(tmp_path / "user.txt", f"台中\n云计算 {frequency} n\n好看 300\n".encode())
    dictionary = Dictionary.from_counts({}).with_file(path)
    assert set(dictionary.user) == {"台中", "好看"}
    assert f"user.txt:2: skipped, '{frequency}' is not a frequency; expected a number" in str(dictionary.reports[0])


@pytest.mark.parametrize(
    ("line", "word", "entry"),
    [
        ("云计算 n 100", "云计算", UserEntry("prefer", 100.0, "n")),
        ("云计算 n 100 vn 20", "云计算", UserEntry("prefer", 120.0, "n")),
        ("云计算\tn\t100", "云计算", UserEntry("prefer", 100.0, "n")),
        ("深度学习,n,100", "深度学习", UserEntry("prefer", 100.0, "n")),
        ("深度学习,100,n", "深度学习", UserEntry("prefer", 100.0, "n")),
        ("开源社 3 nz", "开源社", UserEntry("prefer", 3.0, "nz")),
        ("iPhone n", "iPhone", UserEntry("prefer", None, "n")),
        ("iPhone 7 n", "iPhone", UserEntry("prefer", 7.0, "n")),
        ("1,000", "1,000", UserEntry()),
        ("红楼梦（上）", "红楼梦（上）", UserEntry()),
    ],
)
def test_the_forms_of_other_segmenters_are_understood(tmp_path, line, word, entry):
    entries, report = read_word_file(write(tmp_path / "words.txt", line.encode()))
    assert (entries, report.skipped) == ({word: entry}, ())


@pytest.mark.parametrize(
    "line", ["New York", "New York 100 ns", "Nova Trust证书 2000", "机器 学习", "machine learning"]
)
def test_a_word_with_a_space_is_skipped_by_its_line(tmp_path, line):
    entries, report = read_word_file(write(tmp_path / "words.txt", f"云服务 5\n{line}\n好看 300\n".encode()))
    assert set(entries) == {"云服务", "好看"}
    assert [number for number, _ in report.skipped] == [2]
    assert "white space inside" in str(report)
    assert repr(line) in str(report)


def test_too_many_fields_are_named_and_bytes_that_are_not_utf8_are_an_error_with_their_line(tmp_path):
    _, report = read_word_file(write(tmp_path / "a.txt", b"w 1 n more"))
    assert "a.txt:1: skipped, 4 fields, expected" in str(report)
    with pytest.raises(DataError, match=r"b\.txt:2: byte 7 \(0xff\) is not UTF-8"):
        read_word_file(write(tmp_path / "b.txt", b"good 1\n\xff\n"))
    with pytest.raises(DataError, match=r"c\.xz: the word file is not intact xz data"):
        read_word_file(write(tmp_path / "c.xz", b"no xz"))
    with pytest.raises(DataError, match=r"none\.txt: the word file cannot be read"):
        read_word_file(tmp_path / "none.txt")


@given(st.lists(st.tuples(st.sampled_from(["甲", "甲乙", "乙丙"]), ENTRIES), max_size=6), st.randoms())
@settings(deadline=None, max_examples=100)
def test_the_order_of_entries_never_matters(entries, random):
    base = Dictionary.from_counts({"甲乙": 7, "丙": 1})
    shuffled = list(entries)
    random.shuffle(shuffled)
    one, other = base, base
    for word, entry in entries:
        one = one.with_words({word: entry})
    for word, entry in shuffled:
        other = other.with_words({word: entry})
    assert one.words == other.words
    assert dict(one.user) == dict(other.user)
    assert one.counts.tolist() == other.counts.tolist()


@given(ENTRIES)
def test_a_given_frequency_never_lowers_a_count_and_never_moves_a_word(entry):
    base = Dictionary.from_counts({"甲乙": 500, "丙": 1})
    changed = base.with_words({"甲乙": entry, "一": UserEntry()})
    assert changed.counts[changed.index["甲乙"]] == max(500, entry.frequency or 0)
    assert changed.words[: len(base)] == base.words


@given(st.dictionaries(st.text(st.characters(codec=None), min_size=1), st.integers(0, 9)), st.text(min_size=1), ENTRIES)
@settings(deadline=None, max_examples=60)
def test_arrays_hold_everything(counts, word, entry):
    dictionary = Dictionary.from_counts(counts).with_words({word: entry})
    restored = Dictionary.from_arrays(dictionary.arrays())
    assert restored.words == dictionary.words
    assert restored.user == dictionary.user
    assert np.array_equal(restored.counts, dictionary.counts)


def test_words_are_counted_from_segmented_lines():
    dictionary = Dictionary.from_lines([["我", "是", "我"], [], ["是", ""]])
    assert dict(zip(dictionary.words, dictionary.counts.tolist(), strict=True)) == {"我": 2.0, "是": 2.0}


def test_half_a_million_words_load_in_less_than_five_seconds(tmp_path):
    characters = [chr(0x4E00 + i) for i in range(800)]
    lines = "".join(
        f"{a}{b}{characters[(i * j) % 800]} {i}\n"
        for i, a in enumerate(characters)
        for j, b in enumerate(characters[:625])
    )
    path = write(tmp_path / "big.txt", lines.encode())
    start = time.process_time()
    dictionary = Dictionary.from_file(path)
    assert len(dictionary.trie.word) > 500_000
    assert len(dictionary) == 500_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("base", "counts", "message"),
    [
        (("",), [1.0], "is empty"),
        (("a", "a"), [1.0, 1.0], "twice"),
        (("a",), [-1.0], "negative"),
        (("a",), [], "1 words have 0"),
    ],
)
def test_a_dictionary_that_cannot_be_is_refused(base, counts, message):
    with pytest.raises(ValueError, match=message):
        Dictionary(base, np.array(counts))
