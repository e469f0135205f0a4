import pytest
import torch

from seqloom.learning import Gradients, bptt, truncated_bptt, uoro
from seqloom.learning.unbiased_online import UnbiasedOnlineRecurrentOptimisation

from .sequences import assert_equal, difference, inputs, layer_of, loss_of

DRAWS, GROUPS, TIME = 2000, 20, 6


def vector(found: Gradients) -> torch.Tensor:
    return torch.cat([gradient.flatten() for gradient in found.gradients.values()])


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_mean_of_the_estimates_is_the_gradient(cell: str) -> None:
    """40,000 estimates, as rows of batches; along 6 directions drawn at random their mean is within 3 standard errors.

    The standard error is that of the means of 20 groups. One of 6 numbers would be outside by chance once in 60 seeds; the
    seed is fixed. Without the past, which a step's own derivative lacks, the gradient is many standard errors away.
    """
    layer, x, loss = layer_of(cell), inputs(1, TIME), loss_of(5)
    truth = vector(bptt(layer, x, loss))
    directions = torch.randn(len(truth), 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(11)
    many = x.expand(DRAWS, -1, -1)
    means = torch.stack([vector(uoro(layer, many, loss, generator=generator)) / DRAWS for _ in range(GROUPS)])
    projected = means @ directions
    errors = projected.std(0) / GROUPS**0.5
    scores = (projected.mean(0) - truth @ directions) / errors
    assert (scores.abs() < 3).all(), scores
    blind = (vector(truncated_bptt(layer, x, loss, 1)) - truth) @ directions
    assert float((blind / errors).abs().max()) > 20


def test_rows_that_have_ended_add_nothing() -> None:
    layer, x, loss = layer_of("gru"), inputs(3, 4), loss_of(5)
    lengths = torch.tensor([1, 0, 1])
    # A single step has no past to estimate.
    assert_equal(uoro(layer, x, loss, None, lengths), bptt(layer, x, loss, None, lengths))


def test_the_same_coins_give_the_same_estimate() -> None:
    layer, x, loss = layer_of("gru"), inputs(), loss_of(5)
    first, second = (uoro(layer, x, loss, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert_equal(first, second, 0.0)
    assert difference(first, uoro(layer, x, loss, generator=torch.Generator().manual_seed(2))) > 1e-2


def test_memory_is_that_of_two_vectors_a_row() -> None:
    layer = layer_of("lstm")
    learner = UnbiasedOnlineRecurrentOptimisation(layer)
    learner.step(inputs(3)[:, 0])
    kept = sum(value[0].numel() for value in learner._influence())
    assert kept == sum(parameter.numel() for parameter in layer.parameters()) + 10
