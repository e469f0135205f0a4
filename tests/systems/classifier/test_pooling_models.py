"""Learnable pooling in whole models: what batch normalisation counts is saved and loaded too."""

import numpy as np
import pytest

import seqloom
from seqloom.synthetic.concepts import concept_bags


def test_videos_of_one_world_share_their_concepts_and_have_two_to_four():
    videos = concept_bags(20, seed=1)
    assert all(2 <= len(one.target) <= 4 and 20 <= len(one.values) <= 60 for one in videos)
    again = concept_bags(20, seed=1)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(videos, again, strict=True))
    assert not np.array_equal(videos[0].values[:5], concept_bags(20, seed=2)[0].values[:5])


@pytest.mark.parametrize("read_out", ["vlad", "rvlad", "fisher", "bag", "mean"])
def test_a_model_with_normalisations_is_the_same_when_it_is_loaded(read_out, tmp_path):
    videos = concept_bags(40, concepts=5, size=6, seed=1)
    model = seqloom.train(
        "miech2017-pooling",
        data={"train": videos, "held_out": 0.2},
        model={"read_out": read_out, "clusters": 3, "pooled_size": 8, "hidden_size": 4},
        training={"epochs": 1, "batch_size": 8, "tensorboard": False},
        baselines=(),
    )
    model.save(tmp_path / "model")
    again = seqloom.load(tmp_path / "model")
    for name, tensor in model.network.state_dict().items():
        assert tensor.shape == again.network.state_dict()[name].shape
    values = [one.values for one in videos[:5]]
    np.testing.assert_array_equal(np.array(model.probabilities(values)), np.array(again.probabilities(values)))
