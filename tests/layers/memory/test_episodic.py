"""The key-value store: exact recall, eviction, gates."""

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.layers.memory import EpisodicMemory, KeyValueStore


def pairs(count, size=8, batch=2):
    torch.manual_seed(0)
    keys = torch.linalg.qr(torch.randn(batch, size, size, dtype=torch.float64))[0][:, :count]
    return keys, torch.randn(batch, count, 3, dtype=torch.float64)


def filled(store, keys, values):
    state = store.empty(len(keys), like=keys)
    for j in range(keys.shape[1]):
        state = store.write(state, keys[:, j], values[:, j])
    return state


@pytest.mark.parametrize(("sharpness", "top_k", "error"), [(1000.0, None, 0.0), (1.0, 1, 0.0), (20.0, None, 1e-6)])
def test_random_pairs_with_orthonormal_keys_are_recalled_exactly(sharpness, top_k, error):
    keys, values = pairs(8)
    store = KeyValueStore(8, 8, 3, sharpness=sharpness, top_k=top_k)
    state = filled(store, keys, values)
    for j in (5, 0, 7, 3):
        answer, state = store.read(state, keys[:, j])
        torch.testing.assert_close(answer, values[:, j], atol=error, rtol=0)


def test_the_answer_is_the_softmax_over_the_pairs():
    keys, values = pairs(5)
    store = KeyValueStore(8, 8, 3, sharpness=2.0)
    query = torch.randn(2, 8, dtype=torch.float64)
    weights = (2.0 * torch.einsum("bnk,bk->bn", keys, query)).softmax(1)
    answer, _ = store.read(filled(store, keys, values), query)
    torch.testing.assert_close(answer, torch.einsum("bn,bnv->bv", weights, values))


def test_a_full_store_forgets_its_oldest_pair():
    keys, values = pairs(7)
    store = KeyValueStore(4, 8, 3, top_k=1)
    state = filled(store, keys, values)
    assert state.written.tolist() == [[4, 5, 6, 3]] * 2
    torch.testing.assert_close(state.values, values[:, [4, 5, 6, 3]])


def test_a_full_store_forgets_its_least_used_pair():
    keys, values = pairs(5)
    store = KeyValueStore(3, 8, 3, top_k=1, eviction="use", decay=0.9)
    state = filled(store, keys[:, :3], values[:, :3])
    for j in (0, 2, 0):
        _, state = store.read(state, keys[:, j])
    state = store.write(state, keys[:, 3], values[:, 3])
    torch.testing.assert_close(state.keys, keys[:, [0, 3, 2]])
    torch.testing.assert_close(state.usage[0], torch.tensor([0.9**3 + 2 * 0.9, 1.0, 0.9 + 0.9], dtype=torch.float64))
    state = store.write(state, keys[:, 4], values[:, 4])  # a pair that has just come is not the first to go
    assert state.written[0].tolist() == [0, 4, 2] or state.written[0].tolist() == [0, 3, 4]


def test_a_gate_that_does_not_fire_writes_nothing_but_time_goes_on():
    keys, values = pairs(3)
    store = KeyValueStore(3, 8, 3)
    state = store.write(store.empty(2, like=keys), keys[:, 0], values[:, 0], torch.tensor([0.4, 0.6]).double())
    assert state.clock.flatten().tolist() == [1, 1]
    assert (state.written >= 0).sum(1).tolist() == [0, 1]
    answer, _ = store.read(state, keys[:, 0])
    assert not answer[0].any()
    torch.testing.assert_close(answer[1], values[1, 0])


def test_a_weaker_pair_counts_less_and_trains_its_gate():
    keys, values = pairs(2)
    store = KeyValueStore(2, 8, 3)
    gate = torch.tensor([0.6, 0.6], dtype=torch.float64, requires_grad=True)
    state = store.write(store.empty(2, like=keys), keys[:, 0], values[:, 0], gate)
    state = store.write(state, keys[:, 1], values[:, 1], torch.full((2,), 0.9, dtype=torch.float64))
    weights = store.weights(state, torch.zeros_like(keys[:, 0]))
    torch.testing.assert_close(weights, torch.tensor([[0.4, 0.6]] * 2, dtype=torch.float64))
    assert bool((torch.autograd.grad(weights[:, 0].sum(), gate)[0] > 0).all())


def test_a_layer_recalls_what_it_was_told_before():
    memory = EpisodicMemory(6, KeyValueStore(slots=4, key_size=3, value_size=3, sharpness=500.0)).double()
    with torch.no_grad():
        for projection in (memory.query, memory.key, memory.value):
            projection.bias.zero_()
            projection.weight.zero_()
        memory.query.weight[:, :3] = memory.key.weight[:, :3] = memory.value.weight[:, 3:] = torch.eye(3)
    keys = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 1, 0]]
    values = torch.randn(5, 3, dtype=torch.float64)
    answers, state = memory(torch.cat([keys, values], -1).unsqueeze(0))
    assert not answers[0, 0].any()
    torch.testing.assert_close(answers[0, 3:], values[[1, 0]])
    assert state.written[0].tolist() == [4, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"top_k": 5}, "top_k is 5 but the store has 4 slots"),
        ({"sharpness": 0.0}, "sharpness is 0.0; expected a positive number"),
        ({"eviction": "chance"}, "eviction is 'chance'; expected 'age' or 'use'"),
        ({"decay": 1.5}, "decay is 1.5; expected a number from 0 to 1"),
    ],
)
def test_wrong_rules_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        KeyValueStore(4, 2, 2, **options)
