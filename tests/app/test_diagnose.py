"""``seqloom diagnose`` as a person types it, on models that were just trained."""

import json
import sys
from html.parser import HTMLParser

import pytest

from seqloom.app.main import main
from seqloom.data.source import Source
from seqloom.learning.diagnosis import DiagnosisConfig, diagnose_run
from seqloom.synthetic.tasks import make_task
from seqloom.systems.registry import load
from seqloom.systems.synthetic.config import SyntheticModelConfig
from seqloom.systems.synthetic.model import SyntheticModel
from seqloom.systems.synthetic.system import SyntheticSystem
from seqloom.systems.tagger.system import TaggerSystem

SENTENCES = [
    "the\tD\ncat\tN\nsat\tV",
    "a\tD\ndog\tN\nran\tV\nfar\tA",
    "cats\tN\nrun\tV",
    "the\tD\ndog\tN\nsat\tV\nhere\tA",
]
SMALL = [
    *("--model.hidden_size", "6", "--model.features", "{token: 6, characters: 4}", "--model.bidirectional", "false"),
    *("--training.epochs", "2", "--training.batch_size", "4", "--training.tensorboard", "false"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "tags.conll"
    path.write_text("\n\n".join(SENTENCES * 4) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    run = tmp_path_factory.mktemp("runs") / "run"
    command = ["train", "tag", "--out", str(run), "--data.train", str(data), "--training.diagnose_every", "1", *SMALL]
    assert main(command) == 0
    return run


class Counting(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.count, self.ids = {}, []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.ids += [value for name, value in attributes if name == "id"]


def test_a_tagger_is_diagnosed_in_words_json_and_plots(trained, data, tmp_path, capsys):
    model, out, file = str(trained / "model"), tmp_path / "page.html", tmp_path / "found.json"
    capsys.readouterr()
    assert main(["diagnose", model, str(data), "--json", str(file), "--out", str(out), "--limit", "3"]) == 0
    said = capsys.readouterr().out
    names = [
        *("spelling.recurrent.1.forward", "spelling.recurrent.1.backward"),
        "encoder.1",
    ]
    assert "half-life" in said or "doubling" in said
    for name in (*names, "spectral radius", "time constant"):
        assert name in said
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {entry["name"] for entry in written["recurrences"]} == set(names)
    assert written["sequences"] == 3
    assert len(written["sha256"]) == 64
    page = out.read_text(encoding="utf-8")
    found = Counting(page)
    assert found.count["section"] == len(names) + 1
    assert found.count["figure"] >= 5 * len(names)
    assert len(found.ids) == len(set(found.ids))
    assert "://" not in page
    assert "<script" not in page


def test_its_numbers_are_those_of_the_function_on_the_training_loss(trained, data, tmp_path):
    file = tmp_path / "found.json"
    assert main(["diagnose", str(trained / "model"), str(data), "--json", str(file), "--limit", "5"]) == 0
    batch = TaggerSystem().diagnostic_batch(load(trained / "model"), Source(str(data)), 5)
    found = diagnose_run(batch.module, batch.loss, DiagnosisConfig(rows=5))
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["recurrences"] == json.loads(json.dumps(found.to_dict()))["recurrences"]
    assert found.loss == pytest.approx(float(batch.loss().detach()), rel=1e-6)


def test_the_reports_of_a_run_show_what_it_logged(trained):
    assert main(["report", str(trained)]) == 0
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "Long-term dependencies" in page
    assert "half-life of the gradient" in page


def test_a_segmenter_with_a_network_is_diagnosed_and_one_without_is_refused(tmp_path, capsys):
    text = tmp_path / "words.txt"
    text.write_text("\n".join(["我 是 中国人 。", "他 说 好 ！", "中国 人 在 走"] * 4) + "\n", encoding="utf-8")
    small = ["--model.hidden_size", "4", "--model.features", "{token: 4, bigram_left: 2}", "--training.epochs", "1"]
    plain = ["--data.train", str(text), "--training.tensorboard", "false", "--baselines", "[]"]
    assert main(["train", "segment", "--out", str(tmp_path / "net"), *plain, *small]) == 0
    assert main(["diagnose", str(tmp_path / "net" / "model"), str(text)]) == 0
    assert "encoder.1.forward" in capsys.readouterr().out
    assert main(["train", "segment", "--out", str(tmp_path / "fmm"), *plain, "--method", "fmm"]) == 0
    capsys.readouterr()
    assert main(["diagnose", str(tmp_path / "fmm" / "model"), str(text)]) == 2
    assert "a segmenter of method 'fmm' has no recurrent layer to diagnose" in capsys.readouterr().err


def test_mistakes_are_one_sentence(trained, data, capsys, monkeypatch, tmp_path):
    model = str(trained / "model")
    assert main(["diagnose", model, str(data), "--limit", "0"]) == 2
    assert "--limit: 0, expected at least 1" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_svg", None)
    assert main(["diagnose", model, str(data), "--out", str(tmp_path / "page.html")]) == 2
    assert 'pip install "seqloom[reports]"' in capsys.readouterr().err


def test_a_generated_task_is_diagnosed_at_any_length():
    model = SyntheticModel(SyntheticModelConfig(cell="rnn", hidden_size=5), make_task("adding", 20))
    batch = SyntheticSystem().diagnostic_batch(model, Source("adding:length=30"), 4)
    found = diagnose_run(batch.module, batch.loss)
    assert (found.recurrences[0].rows, found.recurrences[0].steps, batch.sequences) == (4, 30, 4)
    assert found.recurrences[0].from_loss
    assert found.loss == pytest.approx(float(batch.loss().detach()), rel=1e-6)
