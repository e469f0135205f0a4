"""The linear-chain CRF against the enumeration of all K^T paths, in exact-enough plain Python."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.decoding import PAD_TAG
from seqloom.losses import Constraints, LinearChainCRF
from seqloom.losses.crf import FORBIDDEN

TIME = 4


def enumerate_paths(crf, emissions, length):
    """Every path of one row and its score."""
    transitions, start, end = (part.tolist() for part in crf.potentials())
    scores = emissions.tolist()
    for path in itertools.product(range(crf.tags), repeat=length):
        total = sum(scores[step][tag] for step, tag in enumerate(path))
        total += sum(transitions[before][after] for before, after in itertools.pairwise(path))
        yield path, total + (start[path[0]] + end[path[-1]] if path else 0.0)


def log_sum(values):
    peak = max(values)
    return peak + math.log(sum(math.exp(value - peak) for value in values))


def build(seed, lengths, tags, *, scale=1.0, legal=None):
    """A float64 CRF with random parameters, random emissions and random targets."""
    generator = torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(tags, legal=legal).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    emissions = scale * torch.randn(len(lengths), TIME, tags, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, tags, (len(lengths), TIME), generator=generator)
    return crf, emissions, targets, torch.tensor(lengths)


cases = given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(0, TIME), min_size=1, max_size=5),
    tags=st.integers(1, 4),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
)
few = settings(max_examples=20, deadline=None)


@cases
@few
def test_the_loss_is_log_z_minus_the_score_of_the_path(seed, lengths, tags, scale):
    crf, emissions, targets, lengths = build(seed, lengths, tags, scale=scale)
    losses = crf(emissions, targets, lengths)
    log_z = crf.log_partition(emissions, lengths)
    score = crf.score(emissions, targets, lengths)
    for row, length in enumerate(lengths.tolist()):
        paths = dict(enumerate_paths(crf, emissions[row], length))
        gold = paths[tuple(targets[row, :length].tolist())]
        assert log_z[row].item() == pytest.approx(log_sum(paths.values()), rel=1e-13, abs=1e-10)
        assert score[row].item() == pytest.approx(gold, rel=1e-13, abs=1e-10)
        assert losses[row].item() == pytest.approx(log_sum(paths.values()) - gold, rel=1e-13, abs=1e-10)


@cases
@few
def test_marginals_and_gradients_are_the_expectations_over_all_paths(seed, lengths, tags, scale):
    crf, emissions, _, lengths = build(seed, lengths, tags, scale=scale)
    emissions.requires_grad_()
    weight = torch.linspace(-1.0, 2.0, len(lengths), dtype=torch.float64)
    (crf.log_partition(emissions, lengths) * weight).sum().backward()
    marginals = crf.marginals(emissions, lengths)
    expected = [torch.zeros_like(part) for part in (emissions, crf.transitions, crf.start, crf.end)]
    unweighted = torch.zeros_like(emissions)
    for row, length in enumerate(lengths.tolist()):
        paths = list(enumerate_paths(crf, emissions[row].detach(), length))
        log_z = log_sum([score for _, score in paths])
        for path, score in paths:
            probability = math.exp(score - log_z)
            share = probability * weight[row].item()
            for step, tag in enumerate(path):
                expected[0][row, step, tag] += share
                unweighted[row, step, tag] += probability
            for before, after in itertools.pairwise(path):
                expected[1][before, after] += share
            if path:
                expected[2][path[0]] += share
                expected[3][path[-1]] += share
    found = (emissions.grad, crf.transitions.grad, crf.start.grad, crf.end.grad)
    for name, ours, oracle in zip(("emissions", "transitions", "start", "end"), found, expected, strict=True):
        torch.testing.assert_close(ours, oracle, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")
    torch.testing.assert_close(marginals, unweighted, rtol=0, atol=1e-9)


@cases
@few
def test_decoding_agrees_with_the_score_of_its_own_paths(seed, lengths, tags, scale):
    crf, emissions, _, lengths = build(seed, lengths, tags, scale=scale)
    paths, scores = crf.decode(emissions, lengths)
    many, many_scores = crf.decode_k_best(emissions, lengths, k=3)
    torch.testing.assert_close(crf.score(emissions, paths, lengths), scores, rtol=1e-14, atol=1e-10)
    assert torch.equal(many[:, 0], paths)
    for rank in range(3):
        real = many_scores[:, rank].isfinite()
        scored = crf.score(emissions[real], many[real, rank], lengths[real])
        torch.testing.assert_close(scored, many_scores[real, rank], rtol=1e-14, atol=1e-10)
    assert (scores <= crf.log_partition(emissions, lengths) + 1e-9).all()


@cases
@few
def test_partial_labels_sum_over_the_paths_they_allow(seed, lengths, tags, scale):
    crf, emissions, targets, lengths = build(seed, lengths, tags, scale=scale)
    allowed = torch.rand(emissions.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    allowed.scatter_(2, targets[:, :, None], True)
    losses = crf(emissions, allowed, lengths)
    for row, length in enumerate(lengths.tolist()):
        paths = list(enumerate_paths(crf, emissions[row], length))
        inside = [score for path, score in paths if all(allowed[row, step, tag] for step, tag in enumerate(path))]
        expected = log_sum([score for _, score in paths]) - log_sum(inside)
        assert losses[row].item() == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(
    seed=st.integers(0, 10_000), lengths=st.lists(st.integers(0, TIME), min_size=1, max_size=4), tags=st.integers(1, 3)
)
@few
def test_entropy_is_that_of_the_distribution_over_paths(seed, lengths, tags):
    crf, emissions, _, lengths = build(seed, lengths, tags)
    entropy = crf.entropy(emissions, lengths)
    for row, length in enumerate(lengths.tolist()):
        scores = [score for _, score in enumerate_paths(crf, emissions[row], length)]
        log_z = log_sum(scores)
        assert entropy[row].item() == pytest.approx(-sum(math.exp(s - log_z) * (s - log_z) for s in scores), abs=1e-10)
        assert entropy[row].item() >= -1e-12


def test_the_golden_vectors_of_the_specification_hold():
    def fill(shape, s):
        return (0.5 * torch.sin(s + torch.arange(math.prod(shape), dtype=torch.float64))).reshape(shape)

    crf = LinearChainCRF(3).double()
    crf.load_state_dict({"transitions": 2 * fill((3, 3), 100), "start": fill((3,), 200), "end": fill((3,), 300)})
    emissions = 2 * fill((1, 4, 3), 1)
    paths, scores = crf.decode(emissions)
    assert crf.log_partition(emissions).item() == pytest.approx(5.220764791, abs=1e-9)
    assert paths.tolist() == [[2, 2, 2, 2]]
    assert scores.item() == pytest.approx(3.118891212, abs=1e-9)
    assert crf(emissions, torch.tensor([[0, 1, 2, 0]])).item() == pytest.approx(7.652299272, abs=1e-9)


def test_the_worked_example_of_lample_holds():
    crf = LinearChainCRF(2).double()
    values = {"transitions": [[0.2, -0.3], [0.1, 0.4]], "start": [0.0, -1.0], "end": [0.3, 0.0]}
    crf.load_state_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()})
    emissions = torch.tensor([[[1.0, 0.0], [0.5, 2.0], [0.0, 1.0]]], dtype=torch.float64)
    path, score = crf.decode(emissions)
    assert crf.log_partition(emissions).item() == pytest.approx(4.848397, abs=1e-6)
    assert (path.tolist(), score.item()) == ([[0, 1, 1]], pytest.approx(4.1))
    assert crf(emissions, path).neg().exp().item() == pytest.approx(0.473124, abs=1e-6)
    assert crf.marginals(emissions)[0, :, 0].tolist() == pytest.approx([0.804374, 0.176446, 0.300918], abs=1e-6)


def test_without_transitions_the_loss_is_that_of_independent_softmaxes():
    crf, emissions, targets, lengths = build(0, [4, 2, 0], 3, scale=0.0)
    emissions = torch.randn(3, TIME, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    each = torch.nn.functional.cross_entropy(emissions.transpose(1, 2), targets, reduction="none")
    expected = torch.stack([each[row, :length].sum() for row, length in enumerate(lengths)])
    torch.testing.assert_close(crf(emissions, targets, lengths), expected, rtol=0, atol=1e-12)


def test_a_constant_added_to_all_tags_of_a_step_changes_no_loss():
    crf, emissions, targets, lengths = build(4, [4, 3, 1], 3)
    shift = torch.randn(3, TIME, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 100
    torch.testing.assert_close(
        crf(emissions + shift, targets, lengths), crf(emissions, targets, lengths), rtol=0, atol=1e-11
    )


def test_gradcheck_passes_for_loss_partial_loss_and_entropy():
    crf, emissions, targets, lengths = build(7, [3, 0, 4, 1], 3)
    allowed = torch.nn.functional.one_hot(targets, 3).bool()
    allowed[0] = True
    emissions.requires_grad_()
    parameters = tuple(crf.parameters())
    for call in (
        lambda e, *_: crf(e, targets, lengths),
        lambda e, *_: crf(e, allowed, lengths),
        lambda e, *_: crf.entropy(e, lengths),
    ):
        assert torch.autograd.gradcheck(call, (emissions, *parameters))
    extreme = (emissions.detach() * 1000).requires_grad_()
    assert torch.autograd.gradcheck(lambda e, *_: crf(e, targets, lengths), (extreme, *parameters), atol=1e-4)


def test_a_second_derivative_of_the_loss_is_refused_clearly():
    crf, emissions, targets, _ = build(7, [3], 3)
    emissions.requires_grad_()
    with pytest.raises(RuntimeError, match=r"differentiable once.*use log_partition_by_logarithms"):
        torch.autograd.grad(crf(emissions, targets).sum(), emissions, create_graph=True)


@pytest.mark.parametrize("garbage", [1e3, float("nan"), -float("inf")])
def test_padding_changes_nothing_and_gets_no_gradient(garbage):
    crf, emissions, targets, lengths = build(11, [2, 4, 0, 3], 3)
    clean = emissions.clone().requires_grad_()
    dirty = emissions.clone()
    for row, length in enumerate(lengths.tolist()):
        dirty[row, length:] = garbage
        targets[row, length:] = PAD_TAG
    dirty.requires_grad_()
    for call in (
        lambda e: crf(e, targets, lengths),
        lambda e: crf(e, torch.ones_like(e, dtype=torch.bool).index_fill_(2, torch.tensor([0]), False), lengths),
        lambda e: crf.entropy(e, lengths),
        lambda e: crf.score(e, targets, lengths),
    ):
        results, gradients = [], []
        for given_emissions in (clean, dirty):
            crf.zero_grad()
            results.append(call(given_emissions))
            gradients.append(torch.autograd.grad(results[-1].sum(), (given_emissions, *crf.parameters())))
        assert torch.equal(results[0], results[1])
        for one, other in zip(*gradients, strict=True):
            assert torch.equal(one, other)
        for row, length in enumerate(lengths.tolist()):
            assert (gradients[1][0][row, length:] == 0).all()
    assert torch.equal(crf.marginals(clean, lengths), crf.marginals(dirty, lengths))


def test_each_row_is_independent_of_its_batch_and_of_its_place():
    generator = torch.Generator().manual_seed(3)
    crf = LinearChainCRF(5).double()
    lengths = torch.randint(0, 30, (16,), generator=generator)
    emissions = torch.randn(16, 30, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 5, (16, 30), generator=generator)
    losses = crf(emissions, targets, lengths)
    order = torch.randperm(16, generator=generator)
    torch.testing.assert_close(
        crf(emissions[order], targets[order], lengths[order]), losses[order], rtol=1e-13, atol=1e-12
    )
    for row, length in enumerate(lengths.tolist()):
        alone = crf(emissions[row : row + 1, :length], targets[row : row + 1, :length])
        torch.testing.assert_close(alone[0], losses[row], rtol=1e-13, atol=1e-12)


def test_empty_rows_and_empty_batches_lose_nothing():
    crf = LinearChainCRF(3)
    for shape in ((2, 0), (0, 5), (2, 5)):
        emissions = torch.randn(*shape, 3, requires_grad=True)
        lengths = torch.zeros(shape[0], dtype=torch.int32)
        losses = crf(emissions, torch.zeros(shape, dtype=torch.int64), lengths)
        assert losses.tolist() == [0.0] * shape[0]
        losses.sum().backward()
        assert (emissions.grad == 0).all()
        assert crf.entropy(emissions, lengths).tolist() == [0.0] * shape[0]
        assert (crf.marginals(emissions, lengths) == 0).all()
        assert (crf.decode(emissions, lengths)[0] == PAD_TAG).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_emissions_lose_nothing_in_the_sums(dtype):
    crf = LinearChainCRF(4)
    emissions = (torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0)) * 20 + 1000).to(dtype)
    targets = torch.randint(0, 4, (3, 50), generator=torch.Generator().manual_seed(1))
    losses = crf(emissions.requires_grad_(), targets)
    losses.sum().backward()
    exact = crf.double()(emissions.detach().double(), targets)
    assert losses.dtype == torch.float32
    assert emissions.grad.dtype == dtype
    torch.testing.assert_close(losses, exact.float(), rtol=1e-6, atol=1e-5)


bmes = Constraints.from_tags(["B", "M", "E", "S"], scheme="BMES")


@given(seed=st.integers(0, 10_000), lengths=st.lists(st.integers(0, TIME), min_size=1, max_size=5))
@few
def test_constraints_are_never_broken_whatever_the_weights(seed, lengths):
    crf, emissions, _, lengths = build(seed, lengths, 4, scale=20.0, legal=bmes)
    paths, scores = crf.decode(emissions, lengths)
    many, many_scores = crf.decode_k_best(emissions, lengths, k=2 ** (TIME - 1) + 1)
    assert not crf.illegal_rows(paths, lengths).any()
    legal_paths = (many_scores > FORBIDDEN / 2).sum(1)
    assert legal_paths.tolist() == [1 if length == 0 else 2 ** (length - 1) for length in lengths.tolist()]
    for rank in range(many.shape[1]):
        legal = many_scores[:, rank] > FORBIDDEN / 2
        assert not crf.illegal_rows(many[legal, rank], lengths[legal]).any()
    torch.testing.assert_close(scores, many_scores[:, 0])


def test_updates_never_revive_a_forbidden_move():
    crf, emissions, targets, lengths = build(2, [4, 4, 3], 4, legal=bmes)
    crf(emissions, targets, lengths).sum().backward()
    forbidden = ~bmes.transition
    assert (crf.transitions.grad[forbidden] == 0).all()
    assert (crf.start.grad[~bmes.start] == 0).all()
    assert (crf.end.grad[~bmes.end] == 0).all()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.fill_(500.0)
    assert (crf.potentials()[0][forbidden] == FORBIDDEN).all()
    assert not crf.illegal_rows(crf.decode(emissions, lengths)[0], lengths).any()
    assert set(crf.state_dict()) == {"transitions", "start", "end"}


def test_lengths_may_be_a_list():
    crf, emissions, targets, lengths = build(2, [4, 0, 3], 4)
    torch.testing.assert_close(crf(emissions, targets, [4, 0, 3]), crf(emissions, targets, lengths))
    assert torch.equal(crf.decode(emissions, [4, 0, 3])[0], crf.decode(emissions, lengths)[0])


def test_constraints_are_there_where_memory_came_later():
    with torch.device("meta"):
        crf = LinearChainCRF(4, legal=bmes)
    crf.to_empty(device="cpu")
    assert torch.equal(crf.forbidden_transition, ~bmes.transition)
    assert torch.equal(crf.forbidden_start, ~bmes.start)
    with torch.device("meta"):
        crf = LinearChainCRF(4, legal=Constraints(*(torch.ones(n, dtype=torch.bool) for n in (4, (4, 4), 4))))
    with pytest.raises(RuntimeError, match="legal had no values"):
        crf.to_empty(device="cpu")


def test_an_illegal_gold_path_is_found_and_has_a_finite_loss():
    crf, emissions, _, _ = build(2, [4, 4, 0], 4, legal=bmes)
    targets = torch.tensor([[0, 1, 2, 3], [0, 3, 0, 2], [1, 1, 1, 1]])
    lengths = torch.tensor([4, 4, 0])
    emissions.requires_grad_()
    assert crf.illegal_rows(targets, lengths).tolist() == [False, True, False]
    assert crf.illegal_rows(targets).tolist() == [False, True, True]
    losses = crf(emissions, targets, lengths)
    losses.sum().backward()
    assert losses[1].item() == pytest.approx(-FORBIDDEN, rel=0.01)
    assert emissions.grad.isfinite().all()
    assert not LinearChainCRF(4).illegal_rows(targets).any()


def test_constrained_sums_are_those_over_the_legal_paths():
    crf, emissions, _, _ = build(9, [4], 4, legal=bmes)
    paths = list(enumerate_paths(crf, emissions[0], 4))
    legal = [score for _, score in paths if score > FORBIDDEN / 2]
    assert len(legal) == 8
    assert crf.log_partition(emissions).item() == pytest.approx(log_sum(legal), abs=1e-10)


def test_partial_labels_can_say_that_a_word_ends_here():
    crf, emissions, _, _ = build(9, [4], 4, legal=bmes)
    allowed = torch.ones(1, TIME, 4, dtype=torch.bool)
    allowed[0, 1, :2] = False  # the second character is E or S
    inside = [score for path, score in enumerate_paths(crf, emissions[0], 4) if path[1] >= 2]
    loss = crf(emissions, allowed).item()
    assert loss == pytest.approx(crf.log_partition(emissions).item() - log_sum(inside), abs=1e-10)
    assert crf(emissions, torch.ones_like(allowed)).item() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([[0, 1, 2], [0, 3, 9]]), r"targets\[1, 1\] is 3, expected a tag from 0 to 2"),
        (torch.tensor([[0, -1, 2], [0, 1, 9]]), r"targets\[0, 1\] is -1"),
        (torch.zeros(2, 4, dtype=torch.int64), r"targets must be integer tags of shape \(2, 3\)"),
        (torch.zeros(2, 3), "targets must be integer"),
        (torch.zeros(2, 3, 3, dtype=torch.bool), r"targets\[0, 0\] allows no tag"),
        (torch.zeros(2, 3, dtype=torch.bool), "boolean targets have shape"),
    ],
)
def test_a_wrong_target_is_named_by_row_and_step(targets, message):
    with pytest.raises(ValueError, match=message):
        LinearChainCRF(3)(torch.zeros(2, 3, 3), targets, torch.tensor([3, 2]))


def test_a_length_beyond_the_steps_is_named():
    crf = LinearChainCRF(3)
    with pytest.raises(ValueError, match=r"lengths\[1\] is 4 but emissions has T = 3"):
        crf(torch.zeros(2, 3, 3), torch.zeros(2, 3, dtype=torch.int64), torch.tensor([3, 4]))
    with pytest.raises(ValueError, match="tags is 0"):
        LinearChainCRF(0)
    with pytest.raises(ValueError, match="legal is for 4 tags but tags is 3"):
        LinearChainCRF(3, legal=bmes)
