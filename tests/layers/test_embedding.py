import pytest
import torch
from torch import nn

from seqloom.layers.embedding import SparseEmbedding, drop_types, sparse_parameters


def test_padding_is_zero_and_stays_without_gradient() -> None:
    table = SparseEmbedding(6, 4, padding_index=2)
    out = table(torch.tensor([[2, 1], [5, 2]]))
    assert out.shape == (2, 2, 4)
    assert not out[0, 0].any()
    assert not out[1, 1].any()
    out.sum().backward()
    assert table.weight.grad is not None
    assert set(table.weight.grad.coalesce().indices()[0].tolist()) == {1, 5}


def test_the_gradient_is_that_of_a_dense_table_and_holds_only_what_was_looked_up() -> None:
    table = SparseEmbedding(50_000, 3)
    dense = nn.Embedding(50_000, 3, padding_idx=0, _weight=table.weight.detach().clone())
    ids = torch.tensor([7, 9, 7, 0])
    for layer in (table, dense):
        layer(ids).pow(2).sum().backward()
    gradient, expected = table.weight.grad, dense.weight.grad
    assert gradient is not None
    assert expected is not None
    assert gradient._values().shape[0] <= len(ids)
    torch.testing.assert_close(gradient.to_dense(), expected)


def test_vectors_start_with_unit_expected_square() -> None:
    weight = SparseEmbedding(20_000, 10).weight[1:]
    assert float(weight.detach().square().sum(1).mean()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("rows", "vectors", "message"),
    [
        ([1, 2], torch.zeros(2, 3), r"shape \(2, 3\), expected \(2, 4\) for 2 rows"),
        ([1, 6], torch.zeros(2, 4), r"rows\[1\] is 6 but the table has 6 rows"),
        ([-1], torch.zeros(1, 4), r"rows\[0\] is -1"),
        ([3, 0], torch.zeros(2, 4), "row 0 is the padding"),
    ],
)
def test_pretrained_rows_that_do_not_fit_are_refused(rows: list[int], vectors: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseEmbedding(6, 4).load_rows(torch.tensor(rows), vectors)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="0 x 4"):
        SparseEmbedding(0, 4)


def test_sparse_parameters_are_known_from_the_layers_and_tied_ones_count_once() -> None:
    model = nn.ModuleDict({"a": SparseEmbedding(5, 2), "b": nn.Embedding(5, 2), "c": nn.Linear(2, 5)})
    model["tied"] = SparseEmbedding(5, 2)
    model["tied"].weight = model["a"].weight
    assert list(sparse_parameters(model)) == ["a.weight"]
    model["a"].weight.requires_grad_(False)
    assert not sparse_parameters(model)


def test_a_dropped_type_is_dropped_wherever_its_sequence_has_it_and_rows_draw_for_themselves():
    torch.manual_seed(0)
    ids = torch.randint(1, 20, (200, 30))
    table = SparseEmbedding(20, 3, dropout=0.3)
    vectors, plain = table(ids), table.eval()(ids)
    dropped = (vectors == 0).all(-1)
    torch.testing.assert_close(vectors[~dropped], plain[~dropped] / 0.7, rtol=1e-4, atol=0)
    rates = []
    for kind in range(1, 20):
        has = ids == kind
        assert not (dropped & has).any(1)[((~dropped) & has).any(1)].any(), "all of a type in a row, or none"
        rates.append((dropped & has).any(1)[has.any(1)].float().mean())
    assert abs(torch.stack(rates).mean() - 0.3) < 0.03
    assert min(rates) > 0
    assert max(rates) < 1


def test_embedding_dropout_takes_any_shape_of_ids_and_keeps_the_gradient_sparse():
    table = SparseEmbedding(9, 3, dropout=0.5)
    for shape in ((), (4,), (2, 4), (2, 3, 4), (0, 4), (2, 0)):
        assert table(torch.ones(shape, dtype=torch.long)).shape == (*shape, 3)
    table(torch.tensor([[1, 2, 3]])).sum().backward()
    assert table.weight.grad.is_sparse
    assert len(drop_types(torch.ones(100, 1), torch.arange(100) // 50, 0.5).unique()) <= 2, "one row is one sequence"
