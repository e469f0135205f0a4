"""Logistic regression on terms: counted by numbers as one by one, and equal to scikit-learn's."""

from types import SimpleNamespace

import numpy as np
import pytest

from seqloom.data.documents.config import TokenConfig
from seqloom.data.documents.tokens import Tokeniser
from seqloom.data.labelled import Document
from seqloom.systems.classifier.answers import answer_of
from seqloom.systems.classifier.baselines.tfidf import Terms

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

WORDS = ["good", "bad", "film", "a", "the", "plot", "is", "not", "very", "dull"]


def documents(count, classes, seed=0):
    random = np.random.default_rng(seed)
    for index in range(count):
        label = index % classes
        words = [*random.choice(WORDS, random.integers(0, 12)), *[WORDS[label]] * (index % 3)]
        yield Document(text=" ".join(words), target=f"class {label}", where=f"d:{index}")


def fitted(examples, longest=2, minimum=2):
    inputs = SimpleNamespace(tokeniser=Tokeniser(TokenConfig()))
    settings = SimpleNamespace(longest=longest, minimum_documents=minimum, strength=10.0)
    return Terms.fit(settings, inputs, examples, answer_of(examples, {}), lambda *_: None)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("longest", [1, 2, 3])
def test_probabilities_are_those_of_scikit_learn(classes, longest):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    examples, others = list(documents(120, classes)), list(documents(40, classes, 1))
    method = fitted(examples, longest)
    vectors = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, longest), min_df=2, sublinear_tf=True
    )
    matrix = vectors.fit_transform([one.text for one in examples])
    assert set(method.terms) == set(vectors.vocabulary_)
    truth = LogisticRegression(C=10.0, max_iter=1000).fit(matrix, [one.target for one in examples])
    expected = truth.predict_proba(vectors.transform([one.text for one in others]))
    columns = [list(truth.classes_).index(name) for name in method.answer.names]
    assert np.allclose(np.stack(method.decide(others)), expected[:, columns], atol=2e-3)


def test_chinese_terms_are_longer_by_a_character():
    examples = [
        Document(text=text, target=str(n % 2), where="")
        for n, text in enumerate(["好看的ok书", "好看的书", "不ok x", "x"])
    ]
    terms = set(fitted(examples, 2, 1).terms)
    assert {"好", "好 看", "好 看 的", "看 的 书", "的 ok", "ok 书", "不 ok", "ok x"} <= terms
    assert not {"好 看 的 书", "看 的 ok", "不 ok x", "书 好"} & terms
    assert fitted(examples, 1, 1).terms.keys() == {
        *("好", "看", "的", "书", "不", "ok", "x"), *("好 看", "看 的", "的 书"),
    }  # fmt: skip


def test_texts_without_words_have_the_probabilities_of_the_bias():
    examples = [*documents(30, 2), Document(text="", target="class 0", where="")]
    method = fitted(examples)
    empty, unknown = method.decide([Document(text=" "), Document(text="zzz")])
    assert (empty == unknown).all()
    assert np.isclose(empty.sum(), 1)
