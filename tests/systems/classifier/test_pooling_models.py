"""Learnable pooling in whole models: what batch normalisation counts is saved and loaded too."""

import numpy as np

from seqloom.synthetic.concepts import concept_bags


def test_videos_of_one_world_share_their_concepts_and_have_two_to_four():
    videos = concept_bags(20, seed=1)
    assert all(2 <= len(one.target) <= 4 and 20 <= len(one.values) <= 60 for one in videos)
    again = concept_bags(20, seed=1)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(videos, again, strict=True))
    assert not np.array_equal(videos[0].values[:5], concept_bags(20, seed=2)[0].values[:5])
