import json

import numpy as np
import pytest

from seqloom.app import info
from seqloom.errors import ModelError
from seqloom.systems.saved import fill_model


@pytest.fixture
def model(tmp_path):
    def vocab(folder):
        for name, state in {
            "tags": {"kind": "tags", "entries": ["B", "M", "E", "S"]},
            "characters": {"kind": "characters", "entries": ["<pad>", "[b]", "国"]},
            "bigrams": {"kind": "bigrams", "keys": [1, 2, 3, 4, 5]},
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(state))

    config = {
        "system": "segmenter",
        "method": "blstm-crf",
        "fold_width": True,
        "model": {"cell": "lstm", "hidden_size": 128, "features": {"token": 64}},
        "about": {
            "command": "seqloom train words --out RUN",
            "seed": 7,
            "data": {"train": {"path": "pku.txt", "sha256": "ab12"}},
            "scores": {"f1": 0.95432, "oov_recall": float("nan"), "sentences": 12},
            "versions": {"torch": "2.6"},
        },
    }
    tensors = {"embedding": np.zeros((3, 4), np.float32), "bias": np.zeros(5, np.float32)}
    (tmp_path / "model").mkdir()
    fill_model(tmp_path / "model", config, tensors, "# card\n", vocab)
    return tmp_path / "model"


def test_a_model_says_what_it_is_and_how_it_was_made(model, capsys):
    assert info.run([str(model), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["system"] == "segmenter"
    assert described["family"] == "Tagger"
    assert described["method"] == "blstm-crf"
    assert described["labels"] == ["B", "M", "E", "S"]
    assert described["vocabularies"] == {"bigrams": 5, "characters": 3}
    assert described["preprocessing"] == {"fold_width": True}
    assert described["weights"]["parameters"] == 17
    assert described["weights"]["tensors"]["embedding"] == {"shape": [3, 4], "type": "F32"}
    assert described["metrics"]["f1"] == 0.95432
    assert described["metrics"]["oov_recall"] is None
    assert described["command"] == "seqloom train words --out RUN"
    assert described["bytes"]["card.md"] == len("# card\n")


def test_the_page_for_people_has_the_same_facts(model, capsys):
    assert info.run([str(model)]) == 0
    printed = capsys.readouterr().out
    for text in (
        "blstm-crf",
        "4: B M E S",
        "bigrams 5",
        "17 numbers",
        "F1 0.9543",
        "hidden_size 128",
        "features (token 64)",
        "fold_width yes",
        "seqloom train words",
        "sha256 ab12",
    ):
        assert text in printed, text


def test_a_model_without_the_optional_parts_is_described_too(tmp_path, capsys):
    (tmp_path / "m").mkdir()
    fill_model(tmp_path / "m", {"system": "tagger"}, {"w": np.zeros(1, np.float32)}, "", lambda folder: None)
    assert info.run([str(tmp_path / "m")]) == 0
    assert "tagger" in capsys.readouterr().out


def test_a_damaged_or_foreign_directory_is_one_sentence(model, tmp_path):
    def refusal(path):
        with pytest.raises(ModelError) as caught:
            info.run([str(path)])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "is not a model directory" in refusal(tmp_path / "nowhere")
    assert "no seqloom model" in refusal(tmp_path)
    weights = model / "weights.safetensors"
    whole = weights.read_bytes()
    for damaged in (b"", b"\xff" * 64, whole[:-4], whole[:20]):
        weights.write_bytes(damaged)
        assert f"{weights} cannot be read" in refusal(model)
    weights.unlink()
    assert f"{weights} is missing" in refusal(model)
    weights.write_bytes(whole)
    (model / "vocab" / "tags.json").write_text("{")
    assert "tags.json" in refusal(model)
    (model / "config.yaml").write_text("system: [")
    assert "config.yaml is not valid YAML" in refusal(model)
