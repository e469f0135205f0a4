import numpy as np
import pytest

from seqloom.data import align_embeddings
from seqloom.errors import DataError


def tables(noise=0.0, size=8, words=60):
    random = np.random.default_rng(1)
    vectors = random.normal(size=(words, size))
    rotation = np.linalg.qr(random.normal(size=(size, size)))[0]
    other = vectors @ rotation + noise * random.normal(size=vectors.shape)
    names, others = [f"w{k}" for k in range(words)], [f"z{k}" for k in range(words)]
    return (names, vectors), (others, other), list(zip(names, others, strict=True)), rotation


@pytest.mark.parametrize("kind", ["orthogonal", "linear"])
def test_a_rotation_is_found_from_some_pairs_and_holds_for_all(kind):
    source, target, pairs, rotation = tables()
    found = align_embeddings(source, target, [*pairs[:20], ("w1", "nothing"), ("nothing", "z1")], kind=kind, ridge=1e-9)
    assert (found.pairs, found.missing) == (20, 2)
    np.testing.assert_allclose(found.matrix, rotation, atol=1e-6)
    np.testing.assert_allclose(found.apply(source[1]), target[1], atol=1e-5)
    assert found.cosine == pytest.approx(1.0)


def test_an_orthogonal_map_stays_one_under_noise():
    source, target, pairs, _ = tables(noise=0.5)
    matrix = align_embeddings(source, target, pairs).matrix
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-12)


def test_phrases_of_both_languages_are_nearest_to_their_translations():
    source, target, pairs, _ = tables(noise=0.1)
    found = align_embeddings(source, target, pairs[:30])
    random = np.random.default_rng(2)
    phrases = [random.choice(np.arange(30, 60), 3, replace=False) for _ in range(20)]
    ours = found.apply(np.array([source[1][phrase].mean(0) for phrase in phrases]))
    theirs = np.array([target[1][phrase].mean(0) for phrase in phrases])
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    assert ((unit(ours) @ unit(theirs).T).argmax(1) == np.arange(20)).all()


def test_sizes_may_differ_for_a_linear_map_only():
    source, (others, vectors), pairs, _ = tables()
    narrow = (others, vectors[:, :5])
    assert align_embeddings(source, narrow, pairs, kind="linear").matrix.shape == (8, 5)
    with pytest.raises(ValueError, match="vectors of 8 and of 5 units have no orthogonal map"):
        align_embeddings(source, narrow, pairs)


def test_what_cannot_be_aligned_is_said():
    source, target, _, _ = tables()
    with pytest.raises(DataError, match="none of the 1 pairs of the dictionary has vectors of both words"):
        align_embeddings(source, target, [("a", "b")])
    with pytest.raises(ValueError, match="source has 2 words and vectors of shape"):
        align_embeddings((["a", "b"], source[1]), target, [])
