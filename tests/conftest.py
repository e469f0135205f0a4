"""A small artificial language: words of invented syllables with typical openings and endings, no third-party text."""

import random

import pytest

OPENINGS = "甲乙丙丁戊己庚辛"
MIDDLES = "子丑寅卯辰巳"
ENDINGS = "金木水火土日月"
SINGLES = "的了在和"


def _lines(count: int, seed: int) -> list[list[str]]:
    chance = random.Random(seed)
    lines = []
    for _ in range(count):
        words = []
        for _ in range(chance.randint(2, 9)):
            if chance.random() < 0.3:
                words.append(chance.choice(SINGLES))
            else:
                middle = "".join(chance.choice(MIDDLES) for _ in range(chance.randint(0, 2)))
                words.append(chance.choice(OPENINGS) + middle + chance.choice(ENDINGS))
        lines.append([*words, "。"])
    return lines


@pytest.fixture(scope="session")
def segmented_lines() -> list[list[str]]:
    return _lines(300, seed=1)


@pytest.fixture(scope="session")
def segmented_file(tmp_path_factory, segmented_lines):
    path = tmp_path_factory.mktemp("text") / "train.txt"
    path.write_text("".join(" ".join(words) + "\n" for words in segmented_lines), encoding="utf-8")
    return path
