"""Training a tagger from files: slots with an intent, schemes converted on the way, and every recipe's network."""

import dataclasses
import json

import numpy as np
import pytest

import seqloom
from seqloom.app.configuration import RECIPES, configure, system_of
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import DataError
from seqloom.systems.tagger.config import PredictOptions, TaggerConfig, TaggerDataConfig, TaggerModelConfig
from seqloom.systems.tagger.encoding import EncodedCorpus, sentence_labels
from seqloom.systems.tagger.features import FeatureSet
from seqloom.systems.tagger.output import predict
from seqloom.systems.tagger.system import TaggerSystem
from seqloom.systems.tagger.tagger import Tagger
from seqloom.systems.train import train_system
from seqloom.training.config import TrainingConfig

SLOTS = "".join(
    f"# intent = {intent}\n{verb} O\n{name} B-{slot}\n{more} I-{slot}\n\n"
    for intent, verb, slot in (("PlayMusic", "play", "song"), ("GetWeather", "forecast", "city"))
    for name, more in (("New", "York"), ("San", "Remo"), ("Los", "Angeles"), ("Hot", "Springs"))
)
SETTINGS = TrainingConfig(epochs=25, batch_size=4, learning_rate=0.02, monitor="auto", tensorboard=False)
SMALL = TaggerModelConfig(
    features={"token": 8, "characters": 4}, hidden_size=12, dropout_input=0.0, dropout_output=0.0, unknown_rate=0.0
)


def _train(path, text, **data):
    (path / "train.conll").write_text(text, encoding="utf-8")
    config = TaggerConfig(
        data=TaggerDataConfig(train=str(path / "train.conll"), overfit=100, **data), model=SMALL, training=SETTINGS
    )
    train_system(TaggerSystem(), config, path / "run")
    return seqloom.load(path / "run" / "model"), str(path / "train.conll")


def test_slots_and_intents_are_learned_together_and_written_back(tmp_path):
    model, file = _train(tmp_path, SLOTS)
    metrics = model.evaluate(file).values()
    assert (metrics["span_f1"], metrics["label_accuracy"]) == (1.0, 1.0)
    untold = [line for line in SLOTS.split("\n")[:-1] if not line.startswith("#")]
    assert list(predict(model, untold, PredictOptions())) == SLOTS.split("\n")[:-1]
    page = list(predict(model, untold, PredictOptions(format="html")))
    assert page[-2].startswith('<p><b>GetWeather</b>forecast <mark data-label="city">Hot Springs<small>city')


def test_no_label_is_learned_where_that_is_off(tmp_path):
    (tmp_path / "train.conll").write_text(SLOTS, encoding="utf-8")
    config = TaggerConfig(
        data=TaggerDataConfig(train=str(tmp_path / "train.conll"), overfit=100),
        model=dataclasses.replace(SMALL, sentence_label="off"),
        training=dataclasses.replace(SETTINGS, epochs=1),
    )
    model = train_system(TaggerSystem(), config, tmp_path / "run")
    assert model.labels is None
    assert "label_accuracy" not in model.evaluate(str(tmp_path / "train.conll")).values()


def test_spans_are_learned_in_the_scheme_that_is_asked_for(tmp_path):
    text = "".join(f"{city} I-LOC\nsaw O\nAnn I-PER\nSmith I-PER\nBob B-PER\n\n" for city in ("Rome", "Oslo") * 4)
    model, file = _train(tmp_path, text, convert="bioes", scheme="iob1")
    assert model.scheme == "bioes"
    assert model.predict([["Rome", "saw", "Ann", "Smith", "Bob"]]) == [["S-LOC", "O", "B-PER", "E-PER", "S-PER"]]
    assert model.evaluate(file)["span_f1"] == 1.0
    # What goes out is in the scheme of what came in.
    assert list(predict(model, text.replace("I-", "B-").split("\n")[:-1], PredictOptions())) == text.split("\n")[:-1]
    spans = json.loads(next(predict(model, ['{"text": "Rome saw Ann Smith"}'], PredictOptions())))["spans"]
    assert [(span["text"], span["label"]) for span in spans] == [("Rome", "LOC"), ("Ann Smith", "PER")]


def test_training_tags_that_break_their_scheme_are_learned_as_the_scorer_reads_them(tmp_path, capsys):
    good, bad = "Rome S-LOC\nsaw O\nAnn B-PER\nLee E-PER\n\n", "Rome M-LOC\nsaw O\n\n"
    (tmp_path / "train.conll").write_text(good * 6 + bad + good * 3, encoding="utf-8")
    config = TaggerConfig(
        data=TaggerDataConfig(train=str(tmp_path / "train.conll"), held_out=0.2),
        model=SMALL,
        training=dataclasses.replace(SETTINGS, batch_size=16),
    )
    model = train_system(TaggerSystem(), config, tmp_path / "run")
    assert f"breaks the scheme bmes, the first at {tmp_path / 'train.conll'}:31" in capsys.readouterr().err
    assert "M-LOC" not in model.tags.entries
    losses = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert max(line["loss"] for line in losses if "loss" in line) < 100.0


@pytest.mark.parametrize(("overfit", "scheme"), [(100, ""), (None, "bmes")])
def test_they_are_so_too_where_all_are_learned_by_heart_or_the_scheme_is_stated(tmp_path, overfit, scheme):
    text = "Rome S-LOC\nsaw O\nAnn B-PER\nLee E-PER\n\n" * 4 + "Rome M-LOC\nsaw O\n\n"
    (tmp_path / "t").write_text(text, encoding="utf-8")
    data = TaggerDataConfig(train=str(tmp_path / "t"), overfit=overfit, scheme=scheme, held_out=0.2)
    splits = TaggerSystem().splits(TaggerConfig(data=data), {})
    assert {tag for sentence in splits.train for tag in sentence.tags} == {"S-LOC", "O", "B-PER", "E-PER"}


def test_a_saved_model_is_scored_as_in_its_training(tmp_path):
    text = "".join(f"{city} B-LOC\nsaw O\n{year} O\n\n" for city, year in (("Rome", 1998), ("Oslo", 2004)) * 4)
    test = "Rome B-LOC\nsaw O\n1999 O\n\nParis B-LOC\nsaw O\n1998 O\n\n"
    (tmp_path / "train.conll").write_text(text, encoding="utf-8")
    (tmp_path / "test.conll").write_text(test, encoding="utf-8")
    for method in ("network", "hmm"):
        config = TaggerConfig(
            method=method,
            data=TaggerDataConfig(train=str(tmp_path / "train.conll"), test=str(tmp_path / "test.conll")),
            model=dataclasses.replace(SMALL, zero_digits=True),
            training=dataclasses.replace(SETTINGS, epochs=1),
        )
        train_system(TaggerSystem(), config, tmp_path / method)
        told = json.loads((tmp_path / method / "evaluation.json").read_text("utf-8"))
        again = seqloom.load(tmp_path / method / "model").evaluate(str(tmp_path / "test.conll"))
        values = again.values()
        del told["metrics"]["tokens_per_second"], values["tokens_per_second"]
        assert values == told["metrics"]
        assert again.details["details"]["unseen"]["tokens"] == 2
        assert again.details["details"]["unseen_spans"]["support"] == 1


@pytest.mark.parametrize("recipe", [file.stem for file in RECIPES.glob("*.yaml") if system_of(file) == "tagger"])
def test_the_network_of_every_recipe_has_a_loss_and_predicts(recipe):
    config = configure(recipe, [])[1]
    sentences = [Sentence(["Ann", "saw", "3"], ("B", "O", "O"), label="a"), Sentence(["No"], ("O",), label="b")]
    tokens = [sentence.tokens for sentence in sentences]
    features = FeatureSet.fit([name for name, size in config.model.features.items() if size], tokens)
    labels, ids = sentence_labels(sentences)
    tagger = Tagger(config.model, features, TagVocabulary(["O", "B"]), None, labels)
    corpus = EncodedCorpus(features, tokens, np.array([1, 0, 0, 0]), labels=ids)
    assert tagger.network(corpus.batch(np.array([0, 1]))).item() > 0
    assert [len(tags) for tags in tagger.predict(tokens)] == [3, 1]


BIO = "Ann\tB-PER\nLee\tI-PER\nsaw\tO\nRome\tB-LOC\n\nRome\tB-LOC\nfell\tO\n\n"
OTHERS = {
    "bioes": "Ann\tB-PER\nLee\tE-PER\nsaw\tO\nRome\tS-LOC\n\nRome\tS-LOC\nfell\tO\n\n",
    "iob1": "Ann\tI-PER\nLee\tI-PER\nsaw\tO\nRome\tI-LOC\n\nRome\tI-LOC\nfell\tO\n\n",
    "bio": BIO,
}


@pytest.mark.parametrize("scheme", OTHERS)
def test_held_out_data_in_another_scheme_have_the_same_scores(tmp_path, scheme):
    (tmp_path / "train.conll").write_text(BIO * 3)
    (tmp_path / "other.conll").write_text(OTHERS[scheme])
    data = {"train": tmp_path / "train.conll", "dev": tmp_path / "other.conll", "test": tmp_path / "other.conll"}
    model = seqloom.train("tag", data=data, method="most_frequent", baselines=(), out=tmp_path / "run")
    scores = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    found = scores["metrics"]
    assert (found["accuracy"], found["span_f1"]) == (1.0, 1.0)
    assert model.evaluate(tmp_path / "other.conll")["span_f1"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann\tNNP\nsaw\tVBD\n", r"other\.conll:1: tag 'NNP' is not a tag of the scheme bio"),
        (BIO + "Ann\t0\n", r"other\.conll:9: tag '0' is not a tag of the scheme bio"),
        ('{"text": "Ann", "spans": []}\n{"text": "Lee"}\n', r"other\.conll:2: the sentence has no tags"),
    ],
)
@pytest.mark.parametrize("role", ["dev", "test"])
def test_tags_that_cannot_be_scored_are_named_before_the_training(tmp_path, role, text, message):
    (tmp_path / "train.conll").write_text(BIO * 3)
    (tmp_path / "other.conll").write_text(text)
    with pytest.raises(DataError, match=message):
        seqloom.train(
            "tag", data={"train": tmp_path / "train.conll", role: tmp_path / "other.conll"}, out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()
