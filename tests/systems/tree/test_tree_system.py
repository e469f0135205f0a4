"""The classifier of trees: data, scores, output, what its networks learn."""

import json
import math
import os
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import seqloom
from seqloom.configuration import build
from seqloom.data.source import Source
from seqloom.data.trees import Tree, read_trees
from seqloom.errors import ConfigError, DataError
from seqloom.systems.registry import system
from seqloom.systems.tree.config import PredictOptions, TreeConfig, TreeDataConfig, TreeModelConfig
from seqloom.systems.tree.encoding import TreeCorpus
from seqloom.systems.tree.model import TreeClassifier, words_of
from seqloom.systems.tree.network import build_network, node_loss

LINES = [
    "(3 (2 a) (3 (3 good) (2 film)))",
    "(1 (1 not) (3 (3 good) (2 film)))",
    "(0 (0 awful) (2 film))",
    "(4 (2 a) (4 (4 great) (2 film)))",
    "(2 (2 a) (2 film))",
    "(3 (1 not) (1 bad))",
]
SMALL = {"embedding_size": 8, "hidden_size": 8, "dropout_output": 0.0, "word_dropout": 0.0}
METHODS = ("tree_lstm", "child_sum", "rntn", "recursive", "rae")


def trained(method="tree_lstm", lines=LINES, epochs=40, data=None, **model):
    files = {"train": lines, "dev": lines, "test": lines}
    training = {"epochs": epochs, "batch_size": 3, "learning_rate": 0.1, "tensorboard": False, "optimiser": "adagrad"}
    recipe = {"system": "tree_classifier", "method": method, "data": data or {}, "model": {**SMALL, **model}}
    return seqloom.train({**recipe, "training": {**training, "monitor": "root_accuracy", "mode": "max"}}, data=files)


@pytest.fixture(scope="module")
def model():
    return trained()


def lines_of(model, lines, **options):
    own = system("tree_classifier").create()
    return list(own.predict(model, Source(lines), PredictOptions(**options)))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_a_handful_by_heart(method):
    model = trained(method, epochs=80)
    assert model.predict(LINES) == ["3", "1", "0", "4", "2", "3"]
    scores = model.evaluate(LINES).values()
    assert scores["root_accuracy"] == 1.0
    assert math.isnan(scores["node_accuracy"]) if method == "rae" else scores["node_accuracy"] > 0.8


def test_scores_are_of_roots_of_all_nodes_and_of_two_classes_without_neutral_roots(model):
    lines = ["(3 (2 a) (3 (3 good) (2 film)))", "(4 (2 a) (3 (3 good) (2 film)))", "(2 (2 a) (3 (3 good) (2 film)))"]
    evaluation = model.evaluate(lines)
    assert evaluation["root_accuracy"] == pytest.approx(1 / 3)
    assert evaluation["node_accuracy"] == pytest.approx(13 / 15)
    assert evaluation["binary_root_accuracy"] == 1.0  # the neutral one does not count
    assert "3" in evaluation.panel("trees")
    assert evaluation.panel("confusion")["counts"][4][3] == 1


def test_binary_drops_neutral_sentences_at_the_root_only(tmp_path):
    own = system("tree_classifier").create()
    (tmp_path / "a").write_text("\n".join(LINES) + "\n")
    data = TreeDataConfig(classes="binary")
    trees = own.read(Source(str(tmp_path / "a")), data).examples
    assert [tree.label for tree in trees] == ["positive", "negative", "negative", "positive", "positive"]
    assert trees[0].labels == ("", "positive", "", "positive", "positive")
    model = trained("tree_lstm", data={"classes": "binary"}, epochs=60)
    assert model.labels.entries == ["negative", "positive"]
    scores = model.evaluate(LINES).values()
    assert scores["root_accuracy"] == 1.0
    assert "binary_root_accuracy" not in scores
    (tmp_path / "a").write_text("(good (good a) (bad b))\n")
    with pytest.raises(DataError, match="a:1: the label 'good' is none of 0 to 4"):
        own.read(Source(str(tmp_path / "a")), data)


def test_the_loss_is_the_sum_over_labelled_nodes_for_each_tree():
    own = system("tree_classifier").create()
    config = build(TreeConfig, {"system": "tree_classifier", "model": SMALL})
    torch.manual_seed(0)
    model, corpus = own.build(config, own.splits(config, dict.fromkeys(("train", "dev", "test"), LINES[:2])))
    batch = corpus.batch(np.array([0, 1]))
    scores = model.network.outputs(batch)
    every = torch.nn.functional.cross_entropy(scores, batch.labels, reduction="sum") / 2
    torch.testing.assert_close(model.network(batch), every)
    roots = batch.forest.roots
    half = node_loss(scores, batch, 0.5)
    at_roots = torch.nn.functional.cross_entropy(scores[roots], batch.labels[roots], reduction="sum") / 2
    torch.testing.assert_close(half, every / 2 + at_roots / 2)


def test_words_seen_once_are_hidden_by_chance_and_only_in_training():
    own = system("tree_classifier").create()
    config = build(TreeConfig, {"system": "tree_classifier", "model": {**SMALL, "word_dropout": 1.0}})
    model, corpus = own.build(config, own.splits(config, dict.fromkeys(("train", "dev", "test"), LINES)))
    hidden = corpus.batch(np.arange(6), np.random.default_rng(0)).words
    plain = corpus.batch(np.arange(6)).words
    rare = torch.from_numpy(model.words.counts == 1)[plain]
    assert rare.any()
    assert (hidden[rare] == 1).all()
    assert (hidden[~rare] == plain[~rare]).all()


def test_the_faster_rate_of_the_vectors_of_words():
    def moved(rate):
        torch.manual_seed(0)
        config = TreeModelConfig(**SMALL, embedding_rate=rate)
        network = build_network("tree_lstm", config, 10, 5, True)
        words = torch.tensor([4, 5])
        before = network.vectors(words).detach()
        from seqloom.training.config import TrainingConfig
        from seqloom.training.optimiser import build_optimiser

        optimiser = build_optimiser(network, TrainingConfig(optimiser="adagrad"))
        network.vectors(words).sum().backward()
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        optimiser.step(0.05)
        return before, network.vectors(words).detach() - before

    (first, slow), (second, fast) = moved(1.0), moved(4.0)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(4 * slow, fast)


def test_output_in_all_forms(model):
    line = LINES[1]
    assert lines_of(model, [line]) == ["1"]
    assert lines_of(model, [line], format="native") == [line]
    (record,) = map(json.loads, lines_of(model, [line], format="json"))
    assert (record["text"], record["label"], len(record["nodes"])) == ("not good film", "1", 5)
    for node in record["nodes"]:
        assert sum(node["probabilities"].values()) == pytest.approx(1.0, abs=1e-4)
    assert lines_of(model, [line], format="terminal")[0].splitlines()[:2] == ["1", "├─ 1 not"]
    ElementTree.fromstring(lines_of(model, [line], format="svg")[0])
    best = lines_of(model, [line], nbest=2)[0].split("\t")
    assert best[0].startswith("1 ")
    assert len(best) == 2
    with pytest.raises(ConfigError, match="--nbest 2 needs --format plain"):
        lines_of(model, [line], nbest=2, format="json")


def test_text_without_a_tree_gets_one_and_that_is_said_once(model, capsys):
    found = lines_of(model, ["a good film", "", "not bad"], format="native")
    assert [line and line.count("(") for line in found] == [5, "", 3]
    said = capsys.readouterr().err
    assert said.count("no tree is given; made from the words: each word beside all that follow") == 1
    halves = trained(data={"shape": "balanced"}, epochs=1)
    assert halves.tree_of("a b c d").heights[-1] == 2
    rae = trained("rae", epochs=1)
    capsys.readouterr()
    lines_of(rae, ["a good film"])
    assert capsys.readouterr().err == ""


def test_a_tree_may_go_over_lines_in_a_prediction(model):
    assert lines_of(model, ["(3 (2 a)", " (3 (3 good) (2 film)))", "not bad"], format="plain")[0] == "3"
    with pytest.raises(DataError, match="<objects>:1: a bracket is not closed"):
        lines_of(model, ["(3 (2 a)"])
    assert len(lines_of(model, ["( a )"], read_as="text")) == 1


def test_python_takes_texts_trees_and_lists_of_words(model):
    tree = Tree(np.array([2, 2, -1]), ("not", "bad", ""))
    assert model.predict(["not bad", tree, ["not", "bad"], "(2 (2 not) (2 bad))"]) == ["3"] * 4
    assert words_of("  a\u00a0b c\n") == ["a\u00a0b", "c"]


def test_dependency_trees_are_for_child_sum(tmp_path):
    heads = ['{"words": ["a", "good", "film"], "heads": [3, 3, 0], "labels": ["2", "3", "3"]}']
    heads += ['{"words": ["bad", "film"], "heads": [2, 0], "labels": ["1", "1"]}']
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(heads) + "\n")
    trees = list(read_trees(file))
    model = trained("child_sum", trees, epochs=60)
    assert model.predict(trees) == ["3", "1"]
    assert not model.at_leaves
    found = lines_of(model, heads, format="native")
    assert [json.loads(line)["labels"][-1] for line in found] == ["3", "1"]
    assert json.loads(found[0])["heads"] == [3, 3, 0]
    with pytest.raises(DataError, match="inner nodes of the tree have words, as in dependency trees"):
        trained("tree_lstm", trees)


def test_trees_with_many_children_are_made_binary():
    lines = ["(3 (2 a) (3 good) (2 film))", "(1 (2 a) (1 bad) (2 film))"]
    model = trained(lines=lines, epochs=60)
    assert model.predict(lines) == ["3", "1"]
    assert model.evaluate(lines)["node_accuracy"] > 0.8


def test_vectors_of_a_file_are_taken(tmp_path):
    (tmp_path / "v.txt").write_text("good " + "0.5 " * 7 + "0.5\nbad " + "-0.5 " * 7 + "-0.5\n")
    model = trained(epochs=1, embeddings=str(tmp_path / "v.txt"), train_embeddings=False, embedding_rate=2.0)
    vector = model.network.vectors(torch.tensor([model.words["good"]]))
    torch.testing.assert_close(vector, torch.full((1, 8), 0.5))
    assert "2 of 7 words found" in model.about["embeddings"]
    (tmp_path / "w.txt").write_text("splendid " + "0.5 " * 7 + "0.5\ngood " + "0.5 " * 7 + "0.5\n")
    more = trained(epochs=40, embeddings=str(tmp_path / "w.txt"), extra_vectors=2, train_embeddings=False)
    assert more.words["splendid"] != more.words["dull"]
    assert more.predict(["(_ (_ a) (_ (_ splendid) (_ film)))"]) == more.predict(["(_ (_ a) (_ (_ good) (_ film)))"])
    with pytest.raises(ConfigError, match=r"has vectors of size 8, but model\.embedding_size is 9; set it to 8"):
        trained(epochs=1, embeddings=str(tmp_path / "v.txt"), embedding_size=9)


def test_baselines_know_sentences_only(tmp_path):
    for method, expected in (("class_prior", ["3"] * 6), ("tfidf", ["3", "1", "0", "4", "2", "3"])):
        model = trained(method)
        assert model.predict(LINES) == expected
        assert math.isnan(model.evaluate(LINES)["node_accuracy"])
        model.save(tmp_path / method)
        again = seqloom.load(tmp_path / method)
        for one, other in zip(model.analyses(LINES), again.analyses(LINES), strict=True):
            np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert lines_of(model, LINES[:1], format="native") == ["(3 (_ a) (_ (_ good) (_ film)))"] or method == "tfidf"


def test_the_linear_baseline_says_what_scikit_learn_says():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    assert sklearn
    model = trained("tfidf")
    trees = [model.tree_of(line) for line in LINES]
    terms = lambda words: [*words, *(f"{a} {b}" for a, b in pairwise(words))]  # noqa: E731
    vectoriser = TfidfVectorizer(analyzer=terms, sublinear_tf=True)
    features = vectoriser.fit_transform([list(tree.sentence) for tree in trees])
    truth = (
        LogisticRegression(C=4.0, max_iter=1000).fit(features, [tree.label for tree in trees]).predict_proba(features)
    )
    found = np.array([analysis.probabilities[-1] for analysis in model.analyse(trees)])
    np.testing.assert_allclose(found, truth, atol=1e-4)


def test_mistakes_are_listed_the_most_certain_first(model, tmp_path):
    (tmp_path / "a").write_text("(3 (2 a) (3 (3 good) (2 film)))\n(4 (1 not) (1 bad))\n(0 (2 a) (2 film))\n")
    rows = system("tree_classifier").create().errors(model, list(read_trees(tmp_path / "a")))
    assert {(row["where"], row["gold"]) for row in rows} == {(f"{tmp_path}/a:2", "4"), (f"{tmp_path}/a:3", "0")}
    assert rows[0]["probability"] >= rows[1]["probability"]


def test_a_text_without_end_is_no_sentence(model):
    with pytest.raises(DataError, match=r"input\[0\]: a text of 10,001 words; expected a sentence of at most 10,000"):
        model.predict(["word " * 10_001])


def test_unknown_labels_are_named_with_their_place(model, tmp_path):
    (tmp_path / "a").write_text("(7 (2 a) (2 b))\n")
    with pytest.raises(DataError, match=r"a:1: the label '7' does not occur in training; it has 0, 1, 2, 3, 4"):
        model.evaluate(str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("key", "value"), [("alpha", 1.5), ("embedding_rate", 0.0), ("hidden_size", 0), ("word_dropout", -0.1)]
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"model\.{key} is {value}"):
        TreeModelConfig(**{key: value})


def test_a_corpus_keeps_the_order_of_words_of_dependency_trees():
    model = trained("child_sum", epochs=1)
    assert isinstance(model, TreeClassifier)
    from seqloom.data.trees import from_heads

    tree = from_heads(["not", "good", "film"], [3, 3, 0])
    batch = TreeCorpus([tree], model.words, None, at_leaves=False).batch(np.array([0]))
    assert model.words.names(batch.sentences[0].tolist()) == ["not", "good", "film"]
    assert model.words.names(batch.words.tolist()) == ["not", "good", "film"]


DATA = Path(os.environ.get("SEQLOOM_DATA", "")) / "sst-trees"


@pytest.mark.skipif(not (DATA / "train.txt.xz").is_file(), reason="SEQLOOM_DATA has no sst-trees")
def test_the_treebank_has_its_published_counts():
    counts = {"train": (8544, 6920), "dev": (1101, 872), "test": (2210, 1821)}
    for part, (all_trees, binary) in counts.items():
        trees = list(read_trees(DATA / f"{part}.txt.xz"))
        assert (len(trees), sum(tree.label != "2" for tree in trees)) == (all_trees, binary)
        assert all(tree.arity <= 2 and all(tree.labels) for tree in trees)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "train.txt.xz").is_file(), reason="SEQLOOM_DATA has no sst-trees")
def test_a_tree_lstm_reaches_its_floor_on_the_treebank(tmp_path):
    data = {part: str(DATA / f"{part}.txt.xz") for part in ("train", "dev", "test")}
    training = {"epochs": 3, "tensorboard": False}
    model = seqloom.train("tai2015-tree-lstm", data=data, baselines=(), training=training, out=tmp_path / "run")
    assert model.about["scores"]["root_accuracy"] >= 0.43
    assert model.about["scores"]["binary_root_accuracy"] >= 0.80
