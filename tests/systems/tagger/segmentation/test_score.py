"""The scorer, against a slow one, a worked example, and the alignment of the bakeoff's script."""

import itertools
import json
import math
import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import DataError
from seqloom.scores.bootstrap import paired_bootstrap
from seqloom.systems.tagger.segmentation.score import score_segmentation


@st.composite
def two_readings(draw):
    text = draw(st.text(alphabet="甲乙丙", max_size=12))

    def cut():
        if not text:
            return []
        ends = sorted(draw(st.sets(st.integers(1, len(text)))) | {len(text)})
        return [text[a:b] for a, b in itertools.pairwise([0, *ends])]

    return cut(), cut()


def places(words):
    return set(itertools.pairwise(itertools.accumulate(map(len, words), initial=0)))


@given(st.lists(two_readings(), max_size=6), st.sets(st.text(alphabet="甲乙丙", min_size=1, max_size=2)))
@settings(deadline=None, max_examples=100)
def test_the_counts_are_those_of_sets_of_spans(lines, known):
    gold, system = [line[0] for line in lines], [line[1] for line in lines]
    score = score_segmentation(gold, system, known)
    assert score.gold == sum(map(len, gold))
    assert score.system == sum(map(len, system))
    assert score.correct == sum(len(places(a) & places(b)) for a, b in lines)
    assert score.oov == sum(word not in known for words in gold for word in words)
    again = score_segmentation(gold, gold, known)
    assert again.correct == score.gold
    assert sum(band.lines for band in score.bands) == sum(1 for words in gold if words)
    assert sum(band.correct for band in score.bands) == score.correct
    json.dumps(score.to_dict(), allow_nan=False)


def test_the_worked_example():
    gold = [["乒乓球", "拍卖", "了"], ["我", "是", "中国人"]]
    system = [["乒乓球拍", "卖", "了"], ["我", "是", "中国人"]]
    score = score_segmentation(gold, system, {"乒乓球", "我", "是", "了"})
    assert (score.gold, score.system, score.correct, score.oov, score.oov_correct) == (6, 6, 4, 2, 1)
    assert score.precision == score.recall == score.f1 == pytest.approx(4 / 6)
    assert (score.oov_rate, score.oov_recall, score.iv_recall) == pytest.approx((2 / 6, 1 / 2, 3 / 4))
    assert [(line.line, line.errors) for line in score.worst()] == [(1, 4)]
    assert score.to_dict()["counts"]["correct"] == 4


def test_whitespace_is_neither_word_nor_character():
    score = score_segmentation([["我 ", "\u3000", "是"]], [["我", "是", " "]])
    assert (score.gold, score.system, score.correct) == (2, 2, 2)
    assert math.isnan(score.oov_rate)
    assert score.to_dict()["oov_rate"] is None


def test_texts_that_differ_are_refused_with_their_line():
    with pytest.raises(
        DataError, match=r"line 2: the system's text differs from the gold text at character 2 \('x', expected 'b'\)"
    ):
        score_segmentation([["a"], ["ab"]], [["a"], ["a", "x"]])
    with pytest.raises(DataError, match="1 lines and the system's 0"):
        score_segmentation([["a"]], [])


def test_the_counts_equal_those_of_the_alignment_of_the_bakeoff_script(tmp_path):
    """The script writes the words of a line one below the other and lets ``diff -y`` align them."""
    if shutil.which("diff") is None:
        pytest.skip("diff is not installed")
    generator = random.Random(0)
    gold, system = [], []
    for _ in range(100):
        text = "".join(chr(0x4E00 + generator.randrange(3000)) for _ in range(40))
        right = sorted(generator.sample(range(1, 40), 22))
        wrong = {cut for cut in right if generator.random() > 0.1} | set(generator.sample(range(1, 40), 2))
        gold.append([text[a:b] for a, b in itertools.pairwise([0, *right, 40])])
        system.append([text[a:b] for a, b in itertools.pairwise([0, *sorted(wrong), 40])])
    missed = added = 0
    for right_words, words in zip(gold, system, strict=True):
        (tmp_path / "truth").write_text("".join(f"{word}\n" for word in right_words), encoding="utf-8")
        (tmp_path / "test").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        answer = subprocess.run(
            ["diff", tmp_path / "truth", tmp_path / "test"], capture_output=True, text=True, check=False
        )
        missed += sum(line.startswith("<") for line in answer.stdout.splitlines())
        added += sum(line.startswith(">") for line in answer.stdout.splitlines())
    score = score_segmentation(gold, system)
    assert (score.gold - missed, score.system - added) == (score.correct, score.correct)


def test_a_bootstrap_of_the_lines_is_sure_of_a_better_system():
    gold = [["甲乙", "丙"]] * 60
    good = score_segmentation(gold, gold)
    worse = score_segmentation(gold, [["甲乙", "丙"] if i % 3 else ["甲", "乙丙"] for i in range(60)])
    sure = paired_bootstrap("f1", good.f1_ratios, worse.f1_ratios, samples=200, seed=1)
    assert (sure.first, sure.second) == (good.f1, pytest.approx(worse.f1))
    assert 0 < sure.low < sure.difference < sure.high
    assert sure.p_value == pytest.approx(1 / 201)
