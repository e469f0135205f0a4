"""The feature CRF: features, legality, user words, and models that come back from bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.feature_crf import FeatureCRF, character_features
from seqloom.systems.tagger.segmentation.method import WordSegmenter

pytest.importorskip("pycrfsuite", reason="the feature CRF needs sklearn-crfsuite")

LINES = [["我", "是", "中国人"], ["中国", "是", "大国"], ["我们", "爱", "中国"], ["乒乓球", "拍卖", "了"]] * 5
TEXTS = ["".join(line) for line in LINES[:4]]


@pytest.fixture(scope="module")
def model():
    return FeatureCRF.fit(LINES, c2=0.1)


def test_it_learns_its_training_text_by_heart(model):
    assert isinstance(model, WordSegmenter)
    assert model.segment(TEXTS) == LINES[:4]
    ((words, score),) = model.n_best(TEXTS[0], 3)
    assert words == LINES[0]
    assert -5 < score <= 0


def test_every_text_comes_back_whole(model):
    @given(st.lists(st.text(st.characters(codec=None) | st.sampled_from("我是中国人")), max_size=3))
    @settings(deadline=None, max_examples=60)
    def check(texts):
        assert ["".join(words) for words in model.segment(texts)] == texts

    check()


@given(st.text(st.characters(codec=None)))
@settings(deadline=None, max_examples=60)
def test_there_is_one_list_of_features_per_character(text):
    features = character_features(text)
    assert len(features) == len(text)
    assert all(12 <= len(row) <= 14 and all(row) for row in features)


def test_features_are_those_of_the_window():
    def slow(text, i):
        at = {k: text[i + k] if 0 <= i + k < len(text) else "\x02" if i + k < 0 else "\x03" for k in range(-2, 3)}
        kind = {"中": "H", "国": "H", "1": "D", "a": "L", "，": "P", "\x02": "\x02", "\x03": "\x03"}
        row = [f"{k + 2}{at[k]}" for k in at]
        row += [f"{k + 7}{at[k]}{at[k + 1]}" for k in range(-2, 2)]
        row += [f"9{at[-1]}{at[1]}", f"k{kind[at[0]]}", "k" + "".join(kind[at[k]] for k in (-1, 0, 1))]
        return row + ["r1"] * (at[0] == at[-1]) + ["r2"] * (at[0] == at[-2])

    text = "中1国国，aa中a"
    assert character_features(text) == [slow(text, i) for i in range(len(text))]


def test_a_model_comes_back_from_its_state_and_obeys_its_user(model):
    user = Dictionary.from_counts({}).with_words({"国是": UserEntry("force")})
    forced = model.with_dictionary(user)
    restored = FeatureCRF.from_state(*forced.state())
    assert restored.segment(["中国是大国"]) == forced.segment(["中国是大国"]) == [["中", "国是", "大国"]]
    assert FeatureCRF.from_state(*model.state()).segment(TEXTS) == LINES[:4]


def test_a_cut_model_and_wrong_arguments_are_refused(model):
    for damaged in (b"", model.model[:-1], b"x" * 100):
        with pytest.raises(ModelError, match="not an intact crfsuite model"):
            FeatureCRF(damaged)
    with pytest.raises(DataError, match="hold no word"):
        FeatureCRF.fit([[]])
    with pytest.raises(ConfigError, match="c2 is -1"):
        FeatureCRF.fit(LINES, c2=-1)
    with pytest.raises(ConfigError, match="iterations is 0"):
        FeatureCRF.fit(LINES, iterations=0)


def test_training_reports_its_iterations():
    told = []
    FeatureCRF.fit(LINES, iterations=3, progress=lambda iteration, last: told.append((iteration, last)))
    assert told == [(1, 3), (2, 3), (3, 3)]
