"""Word vectors: every format gives the same rows, and broken files say where."""

import gzip

import numpy as np
import pytest

from seqloom.data.embeddings import first_words, load_embeddings
from seqloom.errors import DataError

WORDS = ["the", "new york", "Der", "B2", "B00", "zzz", "\u00a0", "北京"]
FILE = {
    "the": [1, 2, 3],
    "new york": [4, 5, 6],
    "der": [0.5, -1e-3, 7],
    "b0": [9, 9, 9],
    "\u00a0": [1, 1, 1],
    "北京": [2, 2, 2],
}


def as_text(entries, header):
    lines = [f"{len(entries)} 3"] if header else []
    lines += [f"{word} {' '.join(map(str, vector))}" for word, vector in entries]
    return "\n".join(lines).encode() + b"\n"


def as_binary(entries, line_ends=True):
    end = b"\n" if line_ends else b""
    body = b"".join(word.encode() + b" " + np.array(vector, "<f4").tobytes() + end for word, vector in entries)
    return f"{len(entries)} 3\n".encode() + body


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("write", [lambda e: as_text(e, True), lambda e: as_text(e, False)])
def test_text_files_with_and_without_header_give_the_same_rows(file, write, pack):
    entries = [*FILE.items(), ("the", [8, 8, 8])]
    found = load_embeddings(file(pack(write(entries))), WORDS)
    expected = [
        FILE["the"],
        FILE["new york"],
        FILE["der"],
        FILE["b0"],
        [0, 0, 0],
        [0, 0, 0],
        FILE["\u00a0"],
        FILE["北京"],
    ]
    np.testing.assert_array_equal(found.vectors, np.array(expected, np.float32))
    assert found.present.tolist() == [True, True, True, True, False, False, True, True]
    counts = {"words": 8, "exact": 4, "lower": 1, "digits": 1, "missing": 2, "entries": 7, "duplicates": 1}
    assert found.coverage.to_dict() == counts
    assert dict(found.coverage.rows())["missing"] == "2 (25.0 %)"


@pytest.mark.parametrize("line_ends", [True, False])
def test_binary_files_give_the_same_rows(file, line_ends):
    entries = [(word, vector) for word, vector in FILE.items() if " " not in word] + [("the", [8, 8, 8])]
    found = load_embeddings(file(as_binary(entries, line_ends)), WORDS)
    np.testing.assert_array_equal(found.vectors[0], FILE["the"])
    np.testing.assert_array_equal(found.vectors[2], np.array(FILE["der"], np.float32))
    assert (found.coverage.exact, found.coverage.duplicates, found.coverage.missing) == (3, 1, 3)


def test_vectors_whose_bytes_look_like_anything_are_read(file):
    vectors = np.random.default_rng(0).integers(0, 256, (400, 64 * 4), np.uint8)
    vectors[:, 3::4] &= 0x3F  # keep the exponents small, so that all numbers are finite
    entries = b"".join(f"w{i} ".encode() + row.tobytes() + b"\n" for i, row in enumerate(vectors))
    found = load_embeddings(file(b"400 64\n" + entries), [f"w{i}" for i in range(400)])
    assert found.present.all()
    np.testing.assert_array_equal(found.vectors, vectors.view("<f4"))


def test_long_vectors_are_recognised_as_text(file):
    line = "word " + " ".join(["0.123456789"] * 2000)
    found = load_embeddings(file(f"1 2000\n{line}\n".encode()), ["word"])
    assert found.vectors.shape == (1, 2000)
    assert load_embeddings(file(f"{line}\n".encode()), ["word"]).present.all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected word vectors"),
        (b"a b c\n", ":1: the first lines do not end in numbers"),
        (b"the 1 2 3\na 1 2 3\nb 1 2 3\nc 1 2 3\nd 1 2 3\nnew 1 2\n", ":6: 2 numbers behind the word, expected 3"),
        (b"the 1 2 3\na 1 2 3\nb 1 2 3\nc 1 2 3\nd 1 2 3\nB2 1 x 2\n", ":6: could not convert string to float"),
        (b"2 3\nthe 1 2 3\n", "ends after 1 of the 2 vectors"),
        (as_binary([("the", [1, 2, 3]), ("a", [1, 2, 3])])[:-6], "ends after 1 of the 2 vectors"),
        (b"the 1 nan 3\n", ":1: the vector holds a number that is not finite"),
        (gzip.compress(b"the 1 2 3\n" * 1000, mtime=0)[:40], "damaged or cut short"),
    ],
)
def test_broken_files_say_where(file, content, message):
    with pytest.raises(DataError, match=message):
        load_embeddings(file(content), WORDS)


@pytest.mark.parametrize("write", [lambda e: as_text(e, True), lambda e: as_text(e, False), as_binary])
def test_the_first_words_are_those_of_the_file_in_its_order(file, write):
    # The binary format has no words with spaces.
    kept = {word: vector for word, vector in FILE.items() if write is not as_binary or " " not in word}
    path = file(write([("the", [8, 8, 8]), *kept.items()]))
    assert first_words(path, 2) == list(kept)[:2]
    assert first_words(path, 100) == list(kept)
