"""Every read-out, by what must hold for it: its formula as a loop, padding, prefixes, sequences without steps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.layers.read_outs import READ_OUTS, ContextGating, MixtureOfExperts, build_read_out

NAMES = [*READ_OUTS, "last_of_both"]


def made(name, size=6):
    torch.manual_seed(0)
    both = name == "last_of_both"
    read_out = build_read_out(name.removesuffix("_of_both"), size, bidirectional=both, clusters=3, size=5)
    return read_out.double().eval()


def by_loop(name, read_out, row):
    """The vector of one sequence (T, D), T > 0."""
    if name == "last":
        return row[-1]
    if name == "last_of_both":
        return torch.cat([row[-1, :3], row[0, 3:]])
    if name == "mean":
        return sum(row) / len(row)
    if name == "max":
        return torch.stack([max(column) for column in row.T])
    if name == "attention":
        scores = [torch.tanh(read_out.hidden(step)) @ read_out.query for step in row]
        weights = [math.exp(float(score.detach())) for score in scores]
        return sum(weight / sum(weights) * step for weight, step in zip(weights, row, strict=True))
    assigned = [read_out.normalise(read_out.assign(step[None]))[0].softmax(0) for step in row]
    parts = []
    for k in range(3):
        if name == "vlad":
            part = sum(a[k] * (x - read_out.centres[k]) for a, x in zip(assigned, row, strict=True))
            parts.append(part / part.norm())
        elif name == "rvlad":
            part = sum(a[k] * x for a, x in zip(assigned, row, strict=True))
            parts.append(part / part.norm())
        elif name == "bag":
            parts.append(sum(a[k] for a in assigned)[None])
    if name == "fisher":
        s, c = read_out.spread**2 + 1e-6, read_out.centres
        pairs = list(zip(assigned, row, strict=True))
        first = torch.cat([sum(a[k] * (x - c[k]) / s[k] for a, x in pairs) for k in range(3)])
        second = torch.cat([sum(a[k] * ((x - c[k]) ** 2 / s[k] ** 2 - 1) for a, x in pairs) for k in range(3)])
        return read_out.project(torch.cat([first / first.norm(), second / second.norm()]))
    whole = torch.cat(parts)
    return read_out.project(whole / whole.norm())


@pytest.mark.parametrize("name", NAMES)
def test_a_read_out_is_its_formula(name):
    read_out, lengths = made(name), torch.tensor([4, 1, 7])
    encoded = torch.randn(3, 7, 6, dtype=torch.float64)
    vectors = read_out(encoded, lengths)
    for vector, row, length in zip(vectors, encoded, lengths, strict=True):
        torch.testing.assert_close(vector, by_loop(name, read_out, row[:length]))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), padding=st.integers(0, 3))
def test_padding_and_company_never_change_a_vector(name, lengths, padding):
    read_out = made(name)
    encoded = torch.randn(len(lengths), max(lengths), 6, dtype=torch.float64)
    padded = torch.full((len(lengths), max(lengths) + padding, 6), 1e3, dtype=torch.float64)
    padded[:, : max(lengths)] = encoded
    together = read_out(padded, torch.tensor(lengths))
    assert together.isfinite().all()
    for row, (vector, length) in enumerate(zip(together, lengths, strict=True)):
        alone = read_out(encoded[row : row + 1, :length], torch.tensor([length]))[0]
        torch.testing.assert_close(vector, alone)


@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_is_the_vector_of_a_sequence_that_ends_there(name):
    read_out, lengths = made(name), torch.tensor([5, 0, 2])
    encoded = torch.randn(3, 5, 6, dtype=torch.float64)
    found = read_out.prefixes(encoded, lengths)
    assert found.shape == (3, 5, read_out.output_size)
    for step in range(5):
        torch.testing.assert_close(found[:, step], read_out(encoded, lengths.clamp(max=step + 1)))


@pytest.mark.parametrize("name", ["last", "mean", "max", "attention"])
@settings(max_examples=20, deadline=None)
@given(chunks=st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_stream_gives_the_vector_after_each_step_for_every_chunking(name, chunks):
    read_out, time = made(name), sum(chunks)
    encoded = 3 * torch.randn(time, 6, dtype=torch.float64)
    found, seen = [], None
    with torch.no_grad():
        for chunk in encoded.split(chunks):
            vectors, seen = read_out.push(chunk, seen)
            found.append(vectors)
        torch.testing.assert_close(torch.cat(found), read_out.prefixes(encoded[None], torch.tensor([time]))[0])


@pytest.mark.parametrize("name", ["last_of_both", "vlad", "bag"])
def test_what_cannot_stream_says_so(name):
    with pytest.raises(ConfigError, match="read-out cannot stream: it needs the whole sequence"):
        made(name).push(torch.zeros(1, 6, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    read_out, lengths = made(name), torch.tensor([3, 0, 2])
    encoded = torch.randn(3, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: read_out(x, lengths), encoded)


def test_weights_of_attention_add_up_to_one_within_a_sequence():
    weights = made("attention").weights(torch.randn(3, 4, 6, dtype=torch.float64), torch.tensor([4, 2, 0]))
    torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    assert weights[1, 2:].eq(0).all()


@pytest.mark.parametrize("name", ["vlad", "rvlad", "fisher", "bag"])
def test_a_single_row_trains_without_statistics(name):
    read_out = made(name).train()
    assert read_out(torch.randn(1, 1, 6, dtype=torch.float64), torch.tensor([1])).isfinite().all()


def test_gating_without_weights_halves():
    gating = ContextGating(4, normalised=False)
    torch.nn.init.zeros_(gating.gate.weight)
    torch.nn.init.zeros_(gating.gate.bias)
    rows = torch.randn(3, 4)
    torch.testing.assert_close(gating(rows), rows / 2)


def test_a_mixture_is_its_formula():
    torch.manual_seed(1)
    mixture = MixtureOfExperts(4, 3, experts=2)
    row = torch.randn(1, 4)
    gates, experts = mixture.gates(row).view(3, 3), mixture.experts(row).view(3, 2)
    for label in range(3):
        gate = gates[label].softmax(0)
        expected = sum(gate[k] * torch.sigmoid(experts[label, k]) for k in range(2))
        torch.testing.assert_close(mixture(row)[0, label], expected)


def test_an_unknown_read_out_is_one_sentence():
    with pytest.raises(ConfigError, match=r"read_out: 'men' is not a read-out; did you mean 'mean'\?"):
        build_read_out("men", 4)
