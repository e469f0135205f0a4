"""The recursion on rescaled probabilities against the one on logarithms, where float64 runs out of range."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.losses import Constraints, LinearChainCRF
from seqloom.losses.chain import log_partition
from seqloom.losses.forward_backward import forward_backward, log_partition_by_logarithms


def compare(chain, lengths):
    """Value and all gradients of both recursions agree; returns how many rows were done by logarithms."""
    weight = torch.linspace(0.5, 2.0, len(lengths), dtype=torch.float64)
    results = []
    for recursion in (log_partition, log_partition_by_logarithms):
        leaves = [part.clone().requires_grad_() for part in chain]
        log_z = recursion(*leaves, lengths)
        results.append((log_z, *torch.autograd.grad((log_z * weight).sum(), leaves, materialize_grads=True)))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-13, atol=1e-10)
    for ours, oracle in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(ours, oracle, rtol=0, atol=1e-9)
    return len(forward_backward(*chain, lengths).redone)


steep = st.sampled_from([0.0, 0.0, 1.0, -100.0, -250.0, -480.0, -740.0, -1e4, 1e4])


@given(data=st.data(), time=st.integers(1, 12), tags=st.integers(2, 3), rows=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_scores_however_far_apart_are_summed_exactly(data, time, tags, rows):
    def draw(*shape):
        count = torch.Size(shape).numel()
        values = data.draw(st.lists(steep, min_size=count, max_size=count))
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    chain = draw(rows, time, tags), draw(tags, tags), draw(tags), draw(tags)
    lengths = [time, *data.draw(st.lists(st.integers(0, time), min_size=rows - 1, max_size=rows - 1))]
    compare(chain, torch.tensor(lengths))


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1.0, 10.0, 60.0, 150.0, 400.0, 3000.0]))
@settings(max_examples=20, deadline=None)
def test_random_scores_of_every_size_are_summed_exactly(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    shapes = (6, 25, 5), (5, 5), (5,), (5,)
    chain = tuple(scale * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    compare(chain, torch.randint(1, 26, (6,), generator=generator))


def test_a_best_path_that_underflows_at_both_of_its_ends_is_not_lost():
    # Tag 1 starts and ends at e^-740, below what a float64 holds beside tag 0; in between, tag 0 pays e^-230 a step.
    emissions = torch.zeros(1, 12, 2, dtype=torch.float64)
    emissions[0, 1:-1, 0] = -230.0
    stay = torch.tensor([[0.0, -1e4], [-1e4, 0.0]], dtype=torch.float64)
    ends = torch.tensor([0.0, -740.0], dtype=torch.float64)
    assert compare((emissions, stay, ends, ends), torch.tensor([12])) == 1
    assert log_partition(emissions, stay, ends, ends).item() == pytest.approx(-1480.0, abs=1e-9)


def test_a_score_that_is_forbidden_and_yet_forced_is_summed_exactly():
    crf = LinearChainCRF(2, legal=Constraints.from_tags(["B", "E"], scheme="BMES")).double()
    emissions = torch.tensor([[[1e4, -1e4]] * 6, [[0.3, 0.1]] * 6, [[-1e4, 1e4]] * 6], dtype=torch.float64)
    assert compare((emissions, *(part.detach() for part in crf.potentials())), torch.tensor([6, 6, 6])) == 2


def test_ordinary_scores_under_constraints_stay_on_the_fast_recursion():
    crf = LinearChainCRF(4, legal=Constraints.from_tags(["B", "M", "E", "S"], scheme="BMES")).double()
    emissions = 8 * torch.randn(32, 200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = torch.randint(1, 201, (32,), generator=torch.Generator().manual_seed(1))
    assert compare((emissions, *(part.detach() for part in crf.potentials())), lengths) == 0


def test_long_rows_neither_overflow_nor_underflow():
    chain = (
        torch.full((2, 3000, 3), 500.0, dtype=torch.float64),
        *(torch.zeros(shape).double() for shape in ((3, 3), 3, 3)),
    )
    log_z = log_partition(*chain)
    expected = 3000 * (500.0 + torch.tensor(3.0, dtype=torch.float64).log())
    torch.testing.assert_close(log_z, expected.expand(2), rtol=1e-14, atol=0)
    assert len(forward_backward(*chain, torch.tensor([3000, 3000])).redone) == 0


def test_a_score_that_is_not_a_number_shows_in_its_own_row_only():
    emissions = torch.zeros(3, 4, 2)
    emissions[1, 2, 0] = float("nan")
    log_z = log_partition(emissions, torch.zeros(2, 2), torch.zeros(2), torch.zeros(2), torch.tensor([4, 4, 2]))
    assert log_z.isnan().tolist() == [False, True, False]


def test_a_tag_with_a_score_of_minus_infinity_takes_no_part():
    emissions = torch.zeros(1, 3, 3)
    emissions[0, 1, 1:] = -float("inf")
    flat = torch.zeros(3)
    assert log_partition(emissions, torch.zeros(3, 3), flat, flat).exp().item() == pytest.approx(9.0)
