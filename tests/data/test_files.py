"""Files as people have them."""

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqloom.data.files import checksum, open_text, write_atomic
from seqloom.errors import ConfigError, DataError

ODD = "甲\x0b乙\u2028丙\x1c丁\x85戊\r己"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_compressed_files_give_the_same_lines_whatever_their_names(tmp_path, pack):
    path = tmp_path / "text.bin"
    path.write_bytes(pack(f"one\r\n{ODD}\n\nlast".encode()))
    assert list(open_text(path)) == [(1, "one"), (2, ODD), (3, ""), (4, "last")]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_only_newlines_end_a_line(tmp_path, text):
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    expected = [line.removesuffix("\r") for line in text.split("\n")]
    if text.endswith("\n"):
        expected.pop()
    expected[0] = expected[0].removeprefix("\ufeff")
    assert [line for _, line in open_text(path)] == expected


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-32", "utf-8-sig", "utf-16-le"])
def test_other_encodings_and_their_marks(tmp_path, encoding):
    path = tmp_path / "text.txt"
    path.write_bytes(f"我是\r\n{ODD}\n".encode(encoding))
    assert list(open_text(path, encoding)) == [(1, "我是"), (2, ODD)]


def test_standard_input_is_read_and_left_open(monkeypatch):
    source = io.TextIOWrapper(io.BytesIO("甲\n乙".encode()))
    monkeypatch.setattr(sys, "stdin", source)
    assert list(open_text("-")) == [(1, "甲"), (2, "乙")]
    assert not source.buffer.closed


def test_an_undecodable_byte_is_named_with_line_offset_and_remedy(tmp_path):
    path = tmp_path / "gb.txt"
    path.write_bytes(b"ab\n" + "中国".encode("gb18030") + b"\n")
    with pytest.raises(DataError, match=r"gb\.txt:2: byte 0xD6 at offset 3 is not utf-8.*such as gb18030"):
        list(open_text(path))
    assert [line for _, line in open_text(path, "gb18030")] == ["ab", "中国"]
    path.write_bytes(b"caf\xe9 au\n")
    with pytest.raises(DataError, match=r":1: byte 0xE9 at offset 3.*such as latin-1"):
        list(open_text(path))
    path.write_bytes(codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le"))
    with pytest.raises(DataError, match="utf-16"):
        list(open_text(path))
    path.write_bytes("a\n中\n".encode("utf-16") + b"\x00")
    with pytest.raises(DataError, match=r":3: byte 0x00 at offset 10"):
        list(open_text(path, "utf-16"))
    path.write_bytes(b"\x89PNG\x00\x00\xff")
    with pytest.raises(DataError, match="holds zero bytes and is not utf-8; expected a text file"):
        list(open_text(path))


def test_a_missing_file_is_reported_at_the_call_with_the_nearest_name(tmp_path):
    (tmp_path / "train.conll").write_text("x")
    with pytest.raises(DataError, match=r"did you mean 'train\.conll'\?"):
        open_text(tmp_path / "trian.conll")
    with pytest.raises(DataError, match="nor a folder"):
        open_text(tmp_path / "no" / "x")
    with pytest.raises(DataError, match="is a folder"):
        open_text(tmp_path)


def test_an_empty_file_says_what_was_expected(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty; expected two columns"):
        list(open_text(path, expected="two columns"))
    assert list(open_text(path, expected=None)) == []


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_damaged_archive_is_a_data_error(tmp_path, pack):
    path = tmp_path / "cut"
    whole = pack(os.urandom(4000).hex().encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or cut short"):
        list(open_text(path))
    path.write_bytes(whole[:20] + b"\x00" * 40)
    with pytest.raises(DataError, match=r"damaged or cut short|is not utf-8"):
        list(open_text(path))


def test_an_unknown_encoding_is_a_configuration_error(tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigError, match="did you mean 'gb18030'"):
        open_text(tmp_path / "x", "gb18031")


def test_the_checksum_is_that_of_the_bytes_on_disk(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"abc"))
    assert checksum(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="no such file"):
        checksum(tmp_path / "y")


def test_a_write_replaces_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomic(path, "old 旧")
    assert path.read_text(encoding="utf-8") == "old 旧"
    path.chmod(0o640)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        write_atomic(path, "lost")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_write_follows_links_and_spares_devices(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("a")
    link.symlink_to(real)
    write_atomic(link, "b")
    assert link.is_symlink()
    assert real.read_text() == "b"
    write_atomic(Path("/dev/null"), "nothing")
    assert not Path("/dev/null").is_file()


def test_a_missing_folder_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(tmp_path / "no" / "x", "a")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_that_unpacks_to_absurdly_much_is_refused(tmp_path, monkeypatch, pack):
    path = tmp_path / "bomb"
    path.write_bytes(pack(b"a\n" * 2_000_000))
    monkeypatch.setenv("SEQLOOM_MAX_UNPACKED", "1000000")
    with pytest.raises(DataError, match=r"bomb unpacks to more than [\d,]+ bytes, over 100 times its size"):
        list(open_text(path))
    monkeypatch.setenv("SEQLOOM_MAX_UNPACKED", "10000000")
    assert sum(1 for _ in open_text(path)) == 2_000_000


def test_a_line_without_an_end_and_blank_lines_without_an_end_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "long"
    path.write_bytes(b"a\n" + b"x" * 1000 + b"\n")
    monkeypatch.setenv("SEQLOOM_MAX_LINE", "1001")
    assert sum(1 for _ in open_text(path)) == 2
    monkeypatch.setenv("SEQLOOM_MAX_LINE", "1000")
    with pytest.raises(DataError, match="long:2: the line has more than 1,000 bytes"):
        list(open_text(path))
    path.write_bytes(b"a\n" + b" \n" * 50 + b"b\n" + b"\r\n" * 51)
    monkeypatch.setenv("SEQLOOM_MAX_BLANK", "51")
    assert sum(1 for _ in open_text(path)) == 103
    monkeypatch.setenv("SEQLOOM_MAX_BLANK", "50")
    with pytest.raises(DataError, match="long:103: 51 blank lines in a row"):
        list(open_text(path))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_whole_and_once(tmp_path, pack):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(pack(b"some text\nand more\n"),))
    writer.start()
    assert [text for _, text in open_text(path)] == ["some text", "and more"]
    writer.join()
    with pytest.raises(DataError, match="is a pipe, and a checksum reads its data twice; write them to a file first"):
        checksum(path)


@pytest.mark.parametrize("encoding", ["hex", "rot13", "a\0b", "zlib"])
def test_what_is_no_encoding_of_text_is_refused_by_name(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_text("text\n")
    with pytest.raises(ConfigError, match="is not a known text encoding"):
        open_text(path, encoding)


def test_a_name_that_no_file_can_have_is_one_sentence():
    with pytest.raises(DataError, match="is no name that a file can have"):
        open_text("a\0b")


def test_the_checksum_of_a_folder_and_of_a_prefix_is_that_of_the_shell(tmp_path):
    for name, content in (("b/pos/1.txt", "x"), ("b/neg/2.txt", "y"), ("b/.hidden", "z"), ("b/Z", ""), ("rt.pos", "p")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "rt.neg").write_text("n")

    def shell(command):
        run = subprocess.run(["sh", "-c", command], cwd=tmp_path / "b", capture_output=True, check=True, text=True)
        return run.stdout.split()[0]

    assert checksum(tmp_path / "b") == shell("find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum")
    assert checksum(tmp_path / "rt") == shell("cat ../rt.* | sha256sum")
    with pytest.raises(DataError, match="no such file"):
        checksum(tmp_path / "rt.p")
