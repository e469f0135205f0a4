"""The verbs on the command line where the data are the name of a task."""

import json

import torch

from seqloom.app.main import main
from seqloom.synthetic.tasks import make_task
from seqloom.systems.synthetic.config import SyntheticModelConfig
from seqloom.systems.synthetic.model import SyntheticModel


def test_an_evaluation_on_a_task_is_written_without_a_checksum(tmp_path, capsys):
    torch.manual_seed(0)
    model = SyntheticModel(SyntheticModelConfig(cell="gru", hidden_size=4), make_task("adding", 10))
    model.save(tmp_path / "model")
    assert main(["evaluate", str(tmp_path / "model"), "adding:length=12", "--json", str(tmp_path / "scores.json")]) == 0
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["sha256"] is None
    assert report["models"][0]["metrics"]["wrong"] > 0.5
    assert "wrong" in capsys.readouterr().out
