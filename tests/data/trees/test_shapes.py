import numpy as np
import pytest

from seqloom.data.trees import (
    Tree,
    balanced,
    binarised,
    format_brackets,
    from_heads,
    from_merges,
    read_trees,
    right_branching,
)
from seqloom.errors import DataError


def spans(tree):
    """The words below each inner node."""
    found = {}
    for node in range(len(tree)):
        below = [word for child in tree.children[node] for word in found[child]]
        found[node] = [tree.words[node]] if tree.words[node] and not below else below
    return [found[node] for node in range(len(tree)) if tree.children[node]]


def test_trees_of_words_keep_their_order():
    words = list("abcdefg")
    right, halves = right_branching(words), balanced(words)
    assert right.text == halves.text == "a b c d e f g"
    assert spans(right) == [words[start:] for start in range(5, -1, -1)]
    assert (right.heights[-1], halves.heights[-1]) == (6, 3)
    assert len(right_branching(["a"])) == len(balanced(["a"])) == 1
    for make in (right_branching, balanced):
        with pytest.raises(DataError, match="f:3: no words"):
            make([], "f:3")


def test_long_sentences_need_no_recursion():
    words = ["w"] * 20_000
    assert right_branching(words).heights[-1] == 19_999
    assert balanced(words).heights[-1] == 15


def test_merges_make_the_tree_that_they_say():
    tree = from_merges(list("abcd"), [2, 0, 0])
    assert format_brackets(tree, [""] * 7) == "(_ (_ (_ a) (_ b)) (_ (_ c) (_ d)))"


def test_further_children_go_into_new_nodes():
    tree = Tree(np.array([4, 4, 4, 4, -1]), ("a", "b", "c", "d", ""), tuple("12345"), "f:1")
    two = binarised(tree)
    assert two.arity == 2
    assert format_brackets(two) == "(5 (_ (_ (1 a) (2 b)) (3 c)) (4 d))"
    assert binarised(two) is two


def test_heads_make_a_tree_whose_children_are_in_the_order_of_the_text():
    tree = from_heads(["the", "dog", "barks", "loudly"], [2, 3, 0, 3], ["det", "nsubj", "root", "advmod"])
    assert tree.words == ("the", "dog", "loudly", "barks")
    assert tree.labels == ("det", "nsubj", "advmod", "root")
    assert tree.sentence == ("the", "dog", "barks", "loudly")
    assert tree.is_dependency
    assert not tree.is_constituency


@pytest.mark.parametrize(
    ("heads", "complaint"),
    [
        ([0, 0], "f:1: 2 words have the head 0; expected one"),
        ([2, 1], "f:1: 0 words have the head 0"),
        ([0, 3], "f:1: the head of word 2 is 3; expected 0 to 2"),
        ([0, -1], "f:1: the head of word 2 is -1"),
        ([0], "f:1: 1 heads for 2 words"),
        ([0, 2], "f:1: word 2 is its own head over others"),
    ],
)
def test_heads_that_make_no_tree_are_named(heads, complaint):
    with pytest.raises(DataError, match=complaint):
        from_heads(["a", "b"], heads, where="f:1")


def test_a_deep_chain_of_heads_is_bounded_without_recursion():
    assert from_heads(["w"] * 9000, range(9000)).heights[-1] == 8999
    with pytest.raises(DataError, match="deeper than 10,000 levels"):
        from_heads(["w"] * 20_000, range(20_000))


def conllu(*rows):
    return "".join(f"{number}\t{word}\t_\t_\t_\t_\t{head}\t{name}\t_\t_\n" for number, word, head, name in rows) + "\n"


def test_conllu_is_read_by_its_heads_ranges_and_empty_nodes_aside(tmp_path):
    file = tmp_path / "a.conllu"
    text = "# text = du chien\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
    text += conllu((1, "de", 3, "case"), (2, "le", 3, "det"), ("2.1", "x", "_", "_"), (3, "chien", 0, "root"))
    file.write_text(text, encoding="utf-8")
    (tree,) = read_trees(file)
    assert (tree.text, tree.labels, tree.where) == ("de le chien", ("case", "det", "root"), f"{file}:3")
    file.write_text(conllu((1, "a", 0, "root"), (2, "b", "_", "x")), encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.conllu:2: the head is '_'; expected a number, 0 of the root"):
        list(read_trees(file))


def test_heads_in_json_lines(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"words": ["a", "b"], "heads": [2, 0], "labels": ["1", "3"]}\n\n{"words": ["c"], "heads": [0]}\n')
    first, second = read_trees(file)
    assert (first.label, first.parents.tolist(), second.where) == ("3", [1, -1], f"{file}:3")
    for line, complaint in [
        ('{"words": ["a"], "heads": "x"}', "'heads' is 'x'; expected a list of whole numbers"),
        ('{"words": ["a"], "heads": [true]}', "'heads' is .*; expected a list of whole numbers"),
        ('{"words": [""], "heads": [0]}', "a word is empty"),
        ('{"words": ["a"], "heads": [0], "labels": []}', None),
        ('{"words": ["a"], "heads": [0], "labels": ["1", "2"]}', "2 labels for 1 words"),
        ('{"heads": [0]', "not JSON"),
        ('{"heads": [0]}', "'words' is 'None'; expected a list of strings"),
    ]:
        file.write_text(line + "\n")
        if complaint is None:
            assert len(list(read_trees(file))) == 1
        else:
            with pytest.raises(DataError, match=rf"a\.jsonl:1: {complaint}"):
                list(read_trees(file))
