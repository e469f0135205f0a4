import lzma

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from seqloom.data.trees import Tree, format_brackets, read_trees
from seqloom.data.trees.brackets import parse_brackets
from seqloom.data.trees.formats import trees_of_lines
from seqloom.data.trees.tree import MOST_LEVELS
from seqloom.errors import DataError


def parsed(*lines):
    return list(parse_brackets(enumerate(lines, start=1), "x.txt"))


def test_every_node_has_its_label_and_every_leaf_its_word():
    (tree,) = parsed("(3 (2 It) (4 (2 's) (4 good)))")
    assert tree.words == ("It", "'s", "good", "", "")
    assert tree.labels == ("2", "2", "4", "4", "3")
    assert tree.parents.tolist() == [4, 3, 3, 4, -1]
    assert (tree.text, tree.label, tree.where) == ("It 's good", "3", "x.txt:1")


def test_unary_nodes_give_their_label_to_what_takes_their_place():
    (tree,) = parsed("(ROOT (S (NP (NN dogs)) (VP (VBP bark))))")
    assert tree.labels == ("NP", "VP", "ROOT")
    assert tree.unary == 3
    (nameless,) = parsed("( (S (A a) (B b)) )")
    assert (nameless.label, nameless.unary) == ("S", 1)


def test_names_of_brackets_are_read_and_written():
    line = "(2 (2 -LRB-) (2 (2 a) (2 -RRB-)))"
    (tree,) = parsed(line)
    assert tree.sentence == ("(", "a", ")")
    assert format_brackets(tree) == line
    assert parsed("(2 (2 either\\/or) (2 \\*))")[0].sentence == ("either/or", "*")


def test_a_space_that_does_not_break_is_part_of_a_word():
    assert parsed("(2 (2 8\u00a01\\/2) (2 x))")[0].sentence == ("8\u00a01/2", "x")


def test_a_tree_may_go_over_lines_and_a_line_may_hold_trees():
    trees = parsed("(S (A a)", "  (B b)) (S (A c)", "(B d))", "", "(X y)")
    assert [tree.text for tree in trees] == ["a b", "c d", "y"]
    assert [tree.where for tree in trees] == ["x.txt:1", "x.txt:2", "x.txt:5"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["(3 (2 a) (2 b)"], "x.txt:1: a bracket is not closed in the tree that begins here"),
        (["(2 a)", "(3 (2 a)", "((2 b)"], "x.txt:2: 2 brackets are not closed in the tree that begins here"),
        (["(2 a))"], "x.txt:1: a closing bracket at character 6 stands outside all brackets"),
        (["(2 a)", "word"], "x.txt:2: 'word' at character 1 stands outside all brackets"),
        (["(2 a b)"], "x.txt:1: a node has two words, 'a' and 'b'"),
        (["(2 a (2 b))"], "x.txt:1: the word 'a' stands beside another node"),
        (["(2 (2 b) a)"], "x.txt:1: the word 'a' stands beside another node"),
        (["(2 (3))"], "x.txt:1: the node '3' has neither a word nor a node below it"),
        (["()"], "x.txt:1: a node is empty"),
        (["(" * (MOST_LEVELS + 1)], "x.txt:1: the brackets are nested deeper than 10,000 levels"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines, sentence):
    with pytest.raises(DataError) as caught:
        parsed(*lines)
    assert str(caught.value).startswith(sentence)
    assert "expected trees in brackets such as" in str(caught.value)


def test_deep_trees_are_read_and_written_without_recursion():
    depth = MOST_LEVELS - 1
    line = "(1 (1 a) " * depth + "(1 b)" + ")" * depth
    (tree,) = parsed(line)
    assert tree.heights[-1] == depth
    assert parsed(format_brackets(tree))[0].same_as(tree)


def shapes():
    leaf = st.tuples(st.sampled_from("01234"), st.sampled_from(["a", "(", ")", "b/c", "d\u00a0e"]))
    return st.recursive(
        leaf, lambda inner: st.tuples(st.sampled_from("01234"), st.lists(inner, min_size=2, max_size=4))
    )


@given(shapes())
def test_what_is_written_is_read_again(shape):
    parents, words, labels = [], [], []

    def grow(node):
        label, rest = node
        children = [] if isinstance(rest, str) else [grow(child) for child in rest]
        parents.append(-1)
        words.append(rest if isinstance(rest, str) else "")
        labels.append(label)
        for child in children:
            parents[child] = len(parents) - 1
        return len(parents) - 1

    grow(shape)
    tree = Tree(np.array(parents), tuple(words), tuple(labels))
    assert parsed(format_brackets(tree))[0].same_as(tree)


def test_packed_files_are_read_and_missing_ones_named(tmp_path):
    packed = tmp_path / "a.txt.xz"
    packed.write_bytes(lzma.compress(b"\xef\xbb\xbf(3 (2 a) (4 b))\r\n(2 c)\r\n"))
    trees = list(read_trees(packed))
    assert [(tree.text, tree.where) for tree in trees] == [("a b", f"{packed}:1"), ("c", f"{packed}:2")]
    with pytest.raises(DataError, match="there is no such file"):
        list(read_trees(tmp_path / "nothing"))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="has no trees; expected trees in brackets"):
        list(read_trees(tmp_path / "empty"))
    (tmp_path / "text").write_text("no trees here\n")
    with pytest.raises(DataError, match="text:1: 'no' at character 1 stands outside all brackets"):
        list(read_trees(tmp_path / "text"))


def test_words_at_inner_nodes_cannot_be_written_in_brackets():
    with pytest.raises(ValueError, match="words at inner nodes"):
        format_brackets(Tree(np.array([1, -1]), ("a", "b")))


@pytest.mark.parametrize(
    ("parents", "words", "labels"),
    [([0, -1], "ab", "xy"), ([1, 1], "ab", "xy"), ([1, -1], "a", "xy"), ([1, -1], "ab", "x"), ([5, -1], "ab", "xy")],
)
def test_arrays_that_are_no_tree_are_refused(parents, words, labels):
    with pytest.raises(ValueError, match=r"no tree|nodes, but"):
        Tree(np.array(parents), tuple(words), tuple(labels))


@given(
    st.lists(st.text(st.sampled_from('()() ab12\t\\-{}"heds:[],'), max_size=30), max_size=6),
    st.sampled_from(["auto", "heads", "conllu"]),
)
def test_whatever_is_read_is_trees_or_one_sentence(lines, format):
    said, trees = "", []
    try:
        trees = list(trees_of_lines(enumerate(lines, start=1), "x", format))
    except DataError as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith("x") if not trees else all(tree.sentence for tree in trees)
