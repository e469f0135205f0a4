"""The benchmark of taggers compares one tagger with itself. Nothing here depends on how fast anything is."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SENTENCES = [
    "Ann/I-PER came/O to/O Rome/I-LOC",
    "the/O old/O man/O saw/O Bo/I-PER Ek/I-PER in/O 1998/O",
    "Rome/I-LOC",
    "IBM/I-ORG hired/O Ann/I-PER Lee/I-PER ,/O not/O Internationalisierungsbestrebungen/O",
] * 8
SMALL = ["--model.hidden_size", "6", "--model.features.token", "5", "--model.features.characters", "4"]
SHORT = ["--rounds", "2", "--steps", "2", "--sentences", "3", "--threads", "1"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("tagging")


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    given = list(SMALL)
    for role in ("train", "dev", "test"):
        path = tmp_path / f"{role}.conll"
        lines = ("".join(f"{pair.replace('/', ' ')}\n" for pair in sentence.split()) for sentence in SENTENCES)
        path.write_text("\n".join(lines), encoding="utf-8")
        given += [f"--data.{role}", str(path)]
    return given


def test_all_three_are_the_same_tagger_and_learn_alike(benchmark, keys, tmp_path, capsys):
    out = tmp_path / "report.json"
    descent = ["--training.optimiser", "sgd", "--training.schedule", "constant", "--training.learning_rate", "0.05"]
    plain = ["--model.dropout_input", "0", "--model.dropout_output", "0", "--model.unknown_rate", "0"]
    assert benchmark.main([*SHORT, "--json", str(out), *keys, *plain, *descent]) == 0
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    page = capsys.readouterr().out
    assert all(name in page for name in ("seqloom", "NCRF++ style", "flair style"))
    for found in report["rounds"]:
        losses = [found[name]["loss"] for name in ("seqloom", "NCRF++ style", "flair style")]
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)
    assert report["rounds"][-1]["seqloom"]["loss"] < report["rounds"][0]["seqloom"]["loss"]
    assert report["tokens"]["prediction"] == 13


@pytest.mark.parametrize("number", [0, 1])
def test_a_peer_has_the_gradients_of_the_tagger(benchmark, keys, number):
    config = benchmark.configuration(keys)
    data = benchmark.TaggerSystem().splits(config, {})
    tagger, _ = benchmark.network_task(benchmark.TaggerSystem(), config, data, {})
    peer = benchmark.PEERS[number](tagger)
    benchmark.check_agreement(tagger, peer, data.train[:8])
    tagger.network.eval()
    peer.eval()
    sentences = data.train[:8]
    tokens, tags = [one.tokens for one in sentences], [one.tags for one in sentences]
    targets = benchmark.np.concatenate([tagger.tags.lookup_sentence(one) for one in sentences])
    tagger.network(benchmark.EncodedCorpus(tagger.features, tokens, targets).batch(benchmark.np.arange(8))).backward()
    peer.loss(peer.prepare(tokens, tags)).backward()
    torch.testing.assert_close(peer.scores.weight.grad, tagger.network.scores.weight.grad, rtol=1e-3, atol=1e-5)
    spelling = tagger.network.spelling.embedding.weight.grad
    torch.testing.assert_close(peer.characters.weight.grad, spelling.to_dense(), rtol=1e-3, atol=1e-5)


def test_a_peer_that_is_another_tagger_is_not_timed(benchmark, keys):
    config = benchmark.configuration(keys)
    data = benchmark.TaggerSystem().splits(config, {})
    tagger, _ = benchmark.network_task(benchmark.TaggerSystem(), config, data, {})
    peer = benchmark.PEERS[0](tagger)
    peer.scores.bias.data[0] += 1.0
    with pytest.raises(SystemExit, match=r"NCRF\+\+ style: its loss is .* they are not the same tagger"):
        benchmark.check_agreement(tagger, peer, data.train[:8])


def test_what_cannot_be_compared_is_told_in_one_sentence(benchmark, keys, monkeypatch, capsys):
    for wrong, message in (
        (["--model.output", "softmax"], "the peers have one bidirectional LSTM and a CRF"),
        (["--model.spelling", "cnn"], "the peers read characters with an LSTM"),
        (["--training.optimiser", "adagrad"], "the peers train with adam or sgd"),
        (["--training.epochs", "1"], "the rounds take 6 steps, and the recipe has 2"),
    ):
        assert benchmark.main([*SHORT, *keys, *wrong]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {message}")
    monkeypatch.delenv("SEQLOOM_DATA", raising=False)
    assert benchmark.main(SMALL) == 2
    assert capsys.readouterr().err.startswith(
        "error: there is no train file: SEQLOOM_DATA is not set; let SEQLOOM_DATA"
    )
