"""A pipe's pauses are seen, its lines are whole, and nothing of it is lost."""

import os
import threading
import time

import pytest

from seqloom.data.files import open_text
from seqloom.data.live import LiveInput

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes can be waited for on POSIX only")


@pytest.fixture
def pipe():
    end, start = os.pipe()
    yield LiveInput(end), start
    os.close(end)


def test_lines_are_whole_however_they_come(pipe):
    live, start = pipe
    for part in (b"on", b"e\ntwo\n\nthr", b"ee", b"\r\nfour"):
        os.write(start, part)
    os.close(start)
    assert [text for _, text in open_text("-", live=live)] == ["one", "two", "", "three", "four"]


def test_a_pause_is_the_lack_of_a_whole_line_and_the_end_is_none(pipe):
    live, start = pipe
    assert live.pauses(0.01)
    os.write(start, b"half")
    assert live.pauses(0.01)
    os.write(start, b" line\n")
    assert not live.pauses(0.01)
    assert next(iter(live)) == b"half line\n"
    os.close(start)
    assert not live.pauses(0.01)


def test_a_line_that_comes_in_time_ends_the_pause(pipe):
    live, start = pipe

    def later():
        time.sleep(0.05)
        os.write(start, b"x\n")
        os.close(start)

    thread = threading.Thread(target=later)
    thread.start()
    assert not live.pauses(10.0)
    thread.join()
    assert list(live) == [b"x\n"]
