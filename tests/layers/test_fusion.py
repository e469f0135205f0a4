"""The tree of a body: what reaches what, padding, and the published numbers of branches."""

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.layers.fusion import FusionLevel, FusionTree

PARTS = [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9], [10, 11]]
CELLS, SIZES = ("rnn", "rnn", "rnn", "lstm"), (3, 4, 5, 6)


def body(**options):
    torch.manual_seed(0)
    return FusionTree.of_body(PARTS, CELLS, SIZES, **options).eval()


def test_the_levels_have_five_four_two_and_one_branches():
    assert [len(row) for row in body().branches] == [5, 4, 2, 1]
    assert [len(row) for row in body(hierarchical=False).branches] == [1, 1, 1, 1]


def test_a_tree_is_its_layers_one_after_the_other():
    tree, x = body(), torch.randn(2, 6, 12)
    rows = tree.branches
    run = lambda layer, *parts: layer(torch.cat(parts, -1))[0]  # noqa: E731
    left_arm, right_arm, trunk, left_leg, right_leg = (
        run(layer, x[..., columns]) for layer, columns in zip(rows[0], PARTS, strict=True)
    )
    limbs = [
        run(layer, limb, trunk) for layer, limb in zip(rows[1], (left_arm, right_arm, left_leg, right_leg), strict=True)
    ]
    upper, lower = run(rows[2][0], limbs[0], limbs[1]), run(rows[2][1], limbs[2], limbs[3])
    torch.testing.assert_close(tree(x)[0], run(rows[3][0], upper, lower))


def test_a_limb_reaches_its_own_branch_alone_on_the_first_level():
    tree, seen = body(), {}
    for branch, layer in enumerate(tree.branches[0]):
        layer.register_forward_hook(
            lambda _, __, out, branch=branch: seen.setdefault(branch, []).append(out[0].clone())
        )
    x = torch.randn(1, 5, 12)
    without = x.clone()
    without[..., PARTS[3]] = 0.0
    first, second = tree(x)[0], tree(without)[0]
    assert [bool(torch.equal(*seen[branch])) for branch in range(5)] == [True, True, True, False, True]
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("hierarchical", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_padding_never_changes_an_output(hierarchical, bidirectional):
    tree = body(hierarchical=hierarchical, bidirectional=bidirectional)
    x, lengths = torch.randn(3, 9, 12), torch.tensor([9, 4, 1])
    outputs = tree(x, lengths=lengths)[0]
    assert outputs.shape == (3, 9, tree.output_size)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(outputs[row, :length], tree(x[row : row + 1, :length])[0][0])


def test_what_cannot_be_fused_is_one_sentence():
    with pytest.raises(ConfigError, match="a body has 5 parts and 4 levels; found 4 parts"):
        FusionTree.of_body(PARTS[:4], CELLS, SIZES)
    with pytest.raises(ConfigError, match=r"branch 0 of level 2 fuses \[0, 7\]; there are 1 below"):
        FusionTree([FusionLevel("rnn", 2, [[0]]), FusionLevel("rnn", 2, [[0, 7]])])
    with pytest.raises(ConfigError, match="the last has one branch"):
        FusionTree([FusionLevel("rnn", 2, [[0], [1]])])
