"""The commands as a person types them, in one process: train, interrupt by mistake, evaluate, predict, explain."""

import json
import shutil
import subprocess
import sys

import pytest

from seqloom.app.configuration import RECIPES, configure, to_yaml
from seqloom.app.main import VERBS, main
from seqloom.errors import ConfigError

SMALL = [
    *("--model.hidden_size", "8", "--model.features", "{token: 8, bigram_left: 4, lexicon: 4}"),
    *("--training.epochs", "1", "--training.tensorboard", "false"),
]
LINES = ["我 是 中国人 。", "他 说 ： “ 好 ！ ” 走 了", "中国 人 在 走", "我 说 中国 好"] * 5


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text):
    run = tmp_path_factory.mktemp("runs") / "run"
    baselines = ["--baselines", "[fmm, hmm]"]
    assert (
        main(["train", "segment", "--out", str(run), "--data.train", str(text), "--seed", "3", *SMALL, *baselines]) == 0
    )
    return run


def _error(capsys, *arguments):
    assert main(list(arguments)) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_a_run_has_everything_and_a_finished_one_is_left_alone(trained, text, capsys):
    for name in (
        "config.yaml",
        "metrics.jsonl",
        "evaluation.json",
        "report.html",
        "model/card.md",
        "model/weights.safetensors",
    ):
        assert (trained / name).is_file(), name
    evaluation = json.loads((trained / "evaluation.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in evaluation["baselines"]] == ["blstm-crf", "fmm", "hmm"]
    assert len(evaluation["data"]["train"]["sha256"]) == 64
    weights = (trained / "model/weights.safetensors").read_bytes()
    assert main(["train", "--out", str(trained), "--resume"]) == 0
    assert (trained / "model/weights.safetensors").read_bytes() == weights
    assert "holds a run already" in _error(capsys, "train", "segment", "--out", str(trained), "--data.train", str(text))


def test_the_stored_configuration_is_a_recipe_that_gives_itself(trained):
    _, config = configure(str(trained / "config.yaml"), [])
    assert to_yaml(config) == (trained / "config.yaml").read_text(encoding="utf-8")
    assert config.training.seed == 3


def test_a_model_predicts_and_is_compared(trained, text, tmp_path, capsys):
    (tmp_path / "raw.txt").write_text("我是中国人。\n\n走 了\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(trained / "model"), str(tmp_path / "raw.txt"), "--keep-space"]) == 0
    assert capsys.readouterr().out == "我是中国人。\n\n走 了\n"
    assert main(["predict", str(trained / "model"), str(tmp_path / "raw.txt"), "--format=json"]) == 0
    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ["我是中国人。", "", "走 了"]
    model = str(trained / "model")
    assert main(["evaluate", model, model, str(text), "--json", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert scores["models"][0]["metrics"]["f1"] == scores["models"][1]["metrics"]["f1"]
    (between,) = scores["differences"]
    assert (between["metric"], between["difference"], between["p_value"]) == ("f1", 0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "'trian' is not a verb of seqloom; did you mean 'train'?"),
        (["train", "segmnt", "--out", "{new}"], "did you mean 'segment'?"),
        (["train", "segment", "--out", "{new}"], "data.train is not given"),
        (
            ["train", "segment", "--out", "{new}", "--data.train", "{text}x"],
            "there is no such file; did you mean 'words.txt'?",
        ),
        (["train", "segment", "--out", "{new}", "--data.trian", "{text}"], "did you mean '--data.train'?"),
        (["train", "segment", "--out", "{new}", "--hidden_size", "3"], "did you mean '--model.hidden_size'?"),
        (
            ["train", "segment", "--out", "{new}", "--training.epochs", "many"],
            "--training.epochs: 'many' is not a whole number",
        ),
        (["train", "segment", "--out", "{new}", "--training.epochs", "0"], "training.epochs is 0, expected at least 1"),
        (
            ["train", "segment", "--out", "{new}", "--data.train", "{text}", "--model.cell", "lstmm"],
            "did you mean 'lstm'?",
        ),
        (
            ["train", "segment", "--out", "{new}", "--data.train", "{text}", "--model.features.tokn", "3"],
            "did you mean 'token'?",
        ),
        (["train", "segment", "--out", "{new}", "--data.train", "{bytes}"], "bad.txt:2: byte 0xFF"),
        (["train", "segment", "--out", "{new}", "--data.train", "{empty}"], "empty.txt is empty"),
        (["train", "segment", "--out", "{new}", "--data.train", "{raw}"], "holds no words but lines without spaces"),
        (
            ["train", "{recipe}", "--out", "{new}"],
            "mine.yaml:3: 'data.trian' is not a known key; did you mean 'train'?",
        ),
        (["train", "{wrong}", "--out", "{new}"], "wrong.yaml:4: training.epochs: 'many' is not a whole number"),
        (["train", "{text}", "--out", "{new}"], "expected 'key: value' lines"),
        (["predict", "{new}", "{text}"], "is not a model directory; a run keeps its model in RUN/model"),
        (["predict", "{run}", "{text}"], "did you mean"),
        (["predict", "{run}/model", "{text}", "--nbest", "0"], "--nbest: 0 is not a number of segmentations"),
        (["predict", "{run}/model", "{text}", "--method", "hmm"], "beside its own method a model can run fmm"),
        (["evaluate", "{run}/model"], "needs a model directory and a data file"),
        (["evaluate", "{run}/model", "{raw}"], "holds no words"),
    ],
)
def test_a_mistake_is_one_sentence_with_status_2_and_nothing_left_behind(
    arguments, message, trained, text, tmp_path, capsys
):
    (tmp_path / "bad.txt").write_bytes("我 是\n".encode() + b"\xff\xfe \n")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "raw.txt").write_text("我是中国人\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("system: segmenter\ndata:\n  trian: x\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("extends: segment\n\ntraining:\n  epochs: many\n", encoding="utf-8")
    places = {"new": tmp_path / "new", "text": text, "run": trained, "recipe": tmp_path / "mine.yaml"}
    places |= {name: tmp_path / f"{name}.txt" for name in ("empty", "raw")}
    places |= {"bytes": tmp_path / "bad.txt", "wrong": tmp_path / "wrong.yaml"}
    assert message in _error(capsys, *(argument.format(**places) for argument in arguments))
    assert not (tmp_path / "new").exists()


def test_every_shipped_recipe_is_valid_and_says_what_each_key_is_for():
    for recipe in RECIPES.glob("*.yaml"):
        configure(str(recipe), [])
        lines = recipe.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# ")
        sections = {"data:", "model:", "training:", "statistics:"}
        for line in lines[1:]:
            if line.strip() and line.strip() not in sections and not line.lstrip().startswith("- "):
                assert " # " in line, f"{recipe.name}: {line}"


def test_a_dry_run_and_learning_by_heart(text, tmp_path):
    assert (
        main(["train", "segment", "--out", str(tmp_path / "dry"), "--data.train", str(text), "--limit", "10", *SMALL])
        == 0
    )
    heart = [
        *SMALL,
        "--overfit",
        "4",
        "--training.epochs",
        "30",
        "--training.batch_size",
        "2",
        "--training.learning_rate",
        "0.05",
    ]
    heart += ["--model.dropout_input", "0", "--model.dropout_output", "0", "--model.unknown_rate", "0"]
    assert main(["train", "segment", "--out", str(tmp_path / "heart"), "--data.train", str(text), *heart]) == 0
    evaluation = json.loads((tmp_path / "heart/evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["metrics"]["f1"] == 1.0


def test_every_verb_helps_itself(capsys, trained):
    for verb in VERBS:
        arguments = [verb, *(["segment"] if verb == "train" else []), "--help"]
        with pytest.raises(SystemExit, match=r"^0$"):
            main(arguments)
        assert verb in capsys.readouterr().out


def test_a_printed_configuration_can_be_trained_and_has_every_option(tmp_path, capsys):
    given = ["--seed", "7", "--data.train", "words.txt", "--model.features.token", "5"]
    assert main(["train", "--print-config", "segment", *given]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text(printed, encoding="utf-8")
    _, config = configure(str(tmp_path / "mine.yaml"), [])
    assert config == configure("segment", ["--training.seed", "7", *given[2:]])[1]
    assert config.model.features == {"token": 5, "bigram_left": 50, "bigram_right": 50, "lexicon": 16}
    assert main(["train", str(tmp_path / "mine.yaml"), "--print_config"]) == 0
    assert capsys.readouterr().out == printed


def test_python_gives_sections_in_the_place_of_options():
    sections = {"data": {"train": "words.txt"}, "model": {"hidden_size": 64}}
    assert configure("ner", sections)[1] == configure("ner", ["--data.train=words.txt", "--model.hidden_size=64"])[1]


def test_a_recipe_that_extends_itself_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(f"extends: {tmp_path / 'b.yaml'}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(f"extends: {tmp_path / 'a.yaml'}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extends itself"):
        configure(str(tmp_path / "a.yaml"), [])


def test_a_copied_model_directory_is_enough_to_predict(trained, tmp_path, capsys):
    shutil.copytree(trained / "model", tmp_path / "elsewhere")
    (tmp_path / "raw.txt").write_text("中国人\n", encoding="utf-8")
    assert main(["predict", str(tmp_path / "elsewhere"), str(tmp_path / "raw.txt")]) == 0
    assert capsys.readouterr().out.replace(" ", "") == "中国人\n"


def test_dictionary_methods_segment_without_loading_torch(text, tmp_path):
    assert main(["train", "segment", "--method", "fmm", "--out", str(tmp_path / "run"), "--data.train", str(text)]) == 0
    program = "import sys; from seqloom.app.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", program, "predict", str(tmp_path / "run" / "model"), str(text)]
    subprocess.run(command, check=True, capture_output=True)
