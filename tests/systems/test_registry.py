import pytest

import seqloom
from seqloom.data.kinds import KINDS
from seqloom.errors import ConfigError, ModelError
from seqloom.systems.reading import split_data
from seqloom.systems.registry import SYSTEMS, system
from seqloom.systems.tagger.segmentation.config import SegmenterDataConfig


def test_what_has_no_file_is_held_out_from_the_end_and_never_trained_on():
    items = list(range(100))
    train, dev, test = split_data(items, None, None, SegmenterDataConfig(held_out_test=0.2))
    assert (list(train), list(dev), list(test)) == (items[:72], items[72:80], items[80:])
    assert split_data(items, None, None, SegmenterDataConfig())[1:] == (items[90:], items[90:])
    assert split_data(items, [1], [2], SegmenterDataConfig(held_out_test=0.2)) == (items, [1], [2])
    assert split_data(items, [1], None, SegmenterDataConfig())[2] == [1]


def test_nothing_left_to_train_on_is_a_mistake():
    with pytest.raises(ConfigError, match="nothing is left to train on"):
        split_data([1], None, None, SegmenterDataConfig())
    with pytest.raises(ConfigError, match=r"a share of 1\.5 cannot be held out"):
        split_data([1, 2], None, None, SegmenterDataConfig(held_out=1.5))


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_its_configuration_and_options(name):
    registered = system(name)
    own = registered.create()
    assert registered.config_class()().system == name
    assert (registered.name, registered.family, registered.summary) == (own.name, own.family, own.summary)
    assert (registered.config_class(), registered.options_class()) == (own.config, own.options)
    assert registered.takes == own.takes
    assert own.kind in ("", *KINDS)


def test_unknown_systems_are_named(tmp_path):
    with pytest.raises(ConfigError, match="'segmentr' is not a known system; did you mean 'segmenter'"):
        system("segmentr")
    (tmp_path / "config.yaml").write_text("format: 1\nsystem: other\n", encoding="utf-8")
    (tmp_path / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelError, match="system 'other' is not one of"):
        seqloom.load(tmp_path)
    (tmp_path / "config.yaml").write_text("format: 99\nsystem: segmenter\n", encoding="utf-8")
    with pytest.raises(ModelError, match="reads format 1"):
        seqloom.load(tmp_path)
