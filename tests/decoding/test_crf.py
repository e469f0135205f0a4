"""Viterbi and its k best against the enumeration of all K^T paths."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.decoding import PAD_TAG, viterbi, viterbi_k_best


def all_paths(emissions, transitions, start, end, length):
    """Every path of one row with its score, best first; ties by the last tag, then the one before it, and so on."""
    paths = []
    for path in itertools.product(range(emissions.shape[-1]), repeat=length):
        score = sum(float(emissions[step, tag]) for step, tag in enumerate(path))
        score += sum(float(transitions[before, after]) for before, after in itertools.pairwise(path))
        if path:
            score += float(start[path[0]]) + float(end[path[-1]])
        paths.append((score, path))
    return sorted(paths, key=lambda item: (-item[0], item[1][::-1]))


def potentials(seed, batch, time, tags, *, whole=False):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        if whole:  # small whole numbers: exact sums, many ties
            return torch.randint(0, 3, shape, generator=generator).double()
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 2

    return draw(batch, time, tags), draw(tags, tags), draw(tags), draw(tags)


cases = given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    tags=st.integers(1, 4),
    whole=st.booleans(),
)


@cases
@settings(max_examples=25, deadline=None)
def test_the_best_path_is_the_best_of_all_paths(seed, lengths, tags, whole):
    parts = potentials(seed, len(lengths), 5, tags, whole=whole)
    paths, scores = viterbi(*parts, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        score, path = all_paths(parts[0][row], *parts[1:], length)[0]
        assert paths[row].tolist() == [*path, *[PAD_TAG] * (5 - length)]
        assert float(scores[row]) == pytest.approx(score, abs=1e-12)


@cases
@settings(max_examples=25, deadline=None)
def test_the_k_best_paths_are_the_first_k_of_all_paths(seed, lengths, tags, whole):
    k = 7
    parts = potentials(seed, len(lengths), 5, tags, whole=whole)
    paths, scores = viterbi_k_best(*parts, torch.tensor(lengths), k=k)
    best, best_scores = viterbi(*parts, torch.tensor(lengths))
    assert torch.equal(paths[:, 0], best)
    torch.testing.assert_close(scores[:, 0], best_scores, rtol=0, atol=1e-12)
    for row, length in enumerate(lengths):
        expected = all_paths(parts[0][row], *parts[1:], length)[:k]
        found = [tuple(path[:length]) for path in paths[row, : len(expected)].tolist()]
        assert scores[row, : len(expected)].tolist() == pytest.approx([score for score, _ in expected], abs=1e-12)
        assert len(set(found)) == len(found)
        assert found == [path for _, path in expected]
        assert scores[row, len(expected) :].isneginf().all()
        assert (paths[row, len(expected) :] == PAD_TAG).all()
        assert (paths[row, :, length:] == PAD_TAG).all()


def test_every_rank_of_every_path_is_found_when_k_covers_them():
    parts = potentials(3, 1, 4, 3)
    paths, scores = viterbi_k_best(*parts, k=100)
    expected = all_paths(parts[0][0], *parts[1:], 4)
    assert [tuple(path) for path in paths[0, :81].tolist()] == [path for _, path in expected]
    assert scores[0, 81:].isneginf().all()


def test_a_row_of_length_zero_has_one_empty_path_with_score_zero():
    parts = potentials(0, 2, 3, 2)
    paths, scores = viterbi_k_best(*parts, torch.tensor([0, 0]), k=2)
    assert scores.tolist() == [[0.0, -torch.inf]] * 2
    assert (paths == PAD_TAG).all()
    assert viterbi(*parts, torch.tensor([0, 0]))[1].tolist() == [0.0, 0.0]


def test_paths_with_a_score_of_minus_infinity_do_not_exist():
    emissions, transitions, start, end = potentials(1, 1, 3, 2)
    transitions[1, 0] = -torch.inf
    paths, scores = viterbi_k_best(emissions, transitions, start, end, k=8)
    assert int(scores.isfinite().sum()) == 4  # 000 001 011 111
    assert {tuple(path) for path in paths[0, :4].tolist()} == {(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)}


@pytest.mark.parametrize("garbage", [1e3, float("nan"), float("inf")])
def test_padding_and_the_rest_of_the_batch_never_change_a_path(garbage):
    emissions, *rest = potentials(5, 4, 6, 3)
    lengths = torch.tensor([2, 6, 0, 4])
    for row, length in enumerate(lengths.tolist()):
        emissions[row, length:] = garbage
    paths, scores = viterbi(emissions, *rest, lengths)
    many, many_scores = viterbi_k_best(emissions, *rest, lengths, k=3)
    for row, length in enumerate(lengths.tolist()):
        alone, alone_score = viterbi(emissions[row : row + 1, :length], *rest)
        assert torch.equal(alone[0], paths[row, :length])
        assert torch.equal(alone_score[0], scores[row])
        alone, alone_score = viterbi_k_best(emissions[row : row + 1, :length], *rest, k=3)
        assert torch.equal(alone[0], many[row, :, :length])
        assert torch.equal(alone_score[0], many_scores[row])


def test_an_empty_batch_and_a_batch_without_steps_decode_to_nothing():
    flat = torch.zeros(3)
    assert viterbi(torch.zeros(0, 4, 3), torch.zeros(3, 3), flat, flat)[0].shape == (0, 4)
    assert viterbi_k_best(torch.zeros(2, 0, 3), torch.zeros(3, 3), flat, flat, k=2)[0].shape == (2, 2, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([1, 5])}, r"lengths\[1\] is 5 but emissions has T = 3"),
        ({"lengths": torch.tensor([-1, 1])}, r"lengths\[0\] is -1"),
        ({"lengths": torch.tensor([1.0, 2.0])}, "lengths must be integers"),
        ({"lengths": torch.tensor([1])}, r"lengths must be integers of shape \(2,\)"),
        ({"transitions": torch.zeros(2, 3)}, r"transitions has shape \(2, 3\), expected \(2, 2\)"),
        ({"end": torch.zeros(3)}, "end has shape"),
        ({"emissions": torch.zeros(2, 3)}, "emissions must be"),
        ({"emissions": torch.zeros(2, 3, 2, dtype=torch.int64)}, "emissions must be a floating-point tensor"),
        ({"k": 0}, "k is 0"),
    ],
)
def test_a_wrong_argument_is_named(change, message):
    arguments = {
        "emissions": torch.zeros(2, 3, 2),
        "transitions": torch.zeros(2, 2),
        "start": torch.zeros(2),
        "end": torch.zeros(2),
        "lengths": None,
        "k": 1,
    }
    with pytest.raises(ValueError, match=message):
        viterbi_k_best(**{**arguments, **change})
