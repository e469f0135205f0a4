import copy
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqloom.errors import ConfigError, ModelError
from seqloom.layers.embedding import SparseEmbedding
from seqloom.training.config import TrainingConfig
from seqloom.training.optimiser import build_optimiser

NAMES = ["adam", "adamw", "sgd", "adagrad"]


class Model(nn.Module):
    def __init__(self, rows: int = 12, columns: int = 3) -> None:
        super().__init__()
        self.table = SparseEmbedding(rows, columns)
        self.out = nn.Linear(columns, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.table(ids)).pow(2).sum()  # type: ignore[no-any-return]


@settings(deadline=None, max_examples=25)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 999), steps=st.integers(1, 6), length=st.integers(1, 9))
def test_rows_move_as_torchs_own_sparse_optimisers_move_them(name: str, seed: int, steps: int, length: int) -> None:
    torch.manual_seed(seed)
    ours = Model()
    theirs = copy.deepcopy(ours)
    rate, weights = 0.05, [theirs.table.weight]
    optimiser = build_optimiser(ours, TrainingConfig(optimiser=name, learning_rate=rate))  # type: ignore[arg-type]
    sparse: torch.optim.Optimizer = {
        "adam": torch.optim.SparseAdam,
        "adamw": torch.optim.SparseAdam,
        "sgd": torch.optim.SGD,
        "adagrad": torch.optim.Adagrad,
    }[name](weights, lr=rate)
    dense: torch.optim.Optimizer = {
        "adam": torch.optim.Adam,
        "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.0),
        "sgd": torch.optim.SGD,
        "adagrad": torch.optim.Adagrad,
    }[name](theirs.out.parameters(), lr=rate)
    for _ in range(steps):
        ids = torch.randint(0, 12, (2, length))
        for model in (ours, theirs):
            model.zero_grad()
            model(ids).backward()
        optimiser.step(rate)
        sparse.step()
        dense.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_untouched_rows_and_the_padding_stay_as_they_are(name: str) -> None:
    model = Model()
    before = model.table.weight.detach().clone()
    config = TrainingConfig(optimiser=name, weight_decay=0.1, momentum=0.9)  # type: ignore[arg-type]
    optimiser = build_optimiser(model, config)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.tensor([[0, 4, 4, 7]])).backward()
        optimiser.step(0.1)
    moved = (model.table.weight != before).any(1)
    assert moved.nonzero().flatten().tolist() == [4, 7]


def test_momentum_of_a_row_touched_every_time_is_that_of_dense_sgd() -> None:
    model = Model()
    dense = nn.Embedding(12, 3, padding_idx=0, _weight=model.table.weight.detach().clone())
    optimiser = build_optimiser(model.table, TrainingConfig(optimiser="sgd", momentum=0.9))
    reference = torch.optim.SGD(dense.parameters(), lr=0.1, momentum=0.9)
    ids = torch.tensor([3, 5, 5])
    for _ in range(4):
        for table in (model.table, dense):
            table.zero_grad()
            table(ids).pow(2).sum().backward()
        optimiser.step(0.1)
        reference.step()
    torch.testing.assert_close(model.table.weight, dense.weight)


@pytest.mark.parametrize("name", NAMES)
def test_state_that_is_saved_and_loaded_continues_to_the_same_bits(name: str) -> None:
    torch.manual_seed(3)
    config = TrainingConfig(optimiser=name, momentum=0.9, weight_decay=0.01)  # type: ignore[arg-type]
    model = Model()
    optimiser = build_optimiser(model, config)

    def steps(model: Model, optimiser: object, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(3):
            model.zero_grad()
            model(torch.randint(0, 12, (4,), generator=generator)).backward()
            optimiser.step(0.1)  # type: ignore[attr-defined]

    steps(model, optimiser, 0)
    twin = copy.deepcopy(model)
    resumed = build_optimiser(twin, config)
    resumed.load_state_dict({key: value.clone() for key, value in optimiser.state_dict().items()})
    steps(model, optimiser, 1)
    steps(twin, resumed, 1)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_model_is_refused() -> None:
    config = TrainingConfig()
    model = Model()
    model(torch.tensor([1])).backward()
    optimiser = build_optimiser(model, config)
    optimiser.step(0.1)
    with pytest.raises(ModelError, match=r"table.weight/mean"):
        build_optimiser(Model(rows=13), config).load_state_dict(optimiser.state_dict())
    with pytest.raises(ModelError, match=r"that fits no parameter"):
        build_optimiser(Model().table, config).load_state_dict(
            {key.removeprefix("table."): value for key, value in optimiser.state_dict().items()}
        )


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(ConfigError, match="no parameter"):
        build_optimiser(nn.Tanh(), TrainingConfig())


def test_a_step_costs_what_the_batch_touches_whatever_the_table_holds() -> None:
    """A table of 300,000 rows may cost some cache misses, but nothing near its 300 times larger size."""
    models = {rows: Model(rows, 16) for rows in (1_000, 300_000)}
    optimisers = {rows: build_optimiser(model, TrainingConfig()) for rows, model in models.items()}
    times: dict[int, list[float]] = {rows: [] for rows in models}
    for turn in range(25):
        for rows, model in models.items():
            ids = torch.randint(0, rows, (400,), generator=torch.Generator().manual_seed(turn))
            start = time.perf_counter()
            optimisers[rows].zero_grad()
            model(ids).backward()
            optimisers[rows].clip(1.0)
            optimisers[rows].step(0.01)
            times[rows].append(time.perf_counter() - start)
    small, large = (sorted(times[rows])[len(times[rows]) // 4] for rows in models)
    assert large < 10 * small
