import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from seqloom.errors import ModelError
from seqloom.training.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {
    "weights": torch.arange(300, dtype=torch.float32).reshape(20, 15).t(),  # not contiguous
    "count": torch.tensor(7),
    "nothing": torch.zeros(0, 3),
    "bytes": torch.arange(256).to(torch.uint8),
    "half": torch.tensor([1.5, float("inf")], dtype=torch.bfloat16),
}
HEADER = {"state": {"loss": 0.1 + 0.2, "best": None}, "text": "中文"}


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last", TENSORS, HEADER, also=tmp_path / "best")
    for name in ("last", "best"):
        tensors, header = read_checkpoint(tmp_path / name)
        assert header == HEADER
        assert tensors.keys() == TENSORS.keys()
        for key, tensor in tensors.items():
            assert tensor.dtype == TENSORS[key].dtype
            assert torch.equal(tensor, TENSORS[key])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best", "last"]


def test_a_later_checkpoint_leaves_the_best_one_alone(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last", TENSORS, {"step": 1}, also=tmp_path / "best")
    write_checkpoint(tmp_path / "last", TENSORS, {"step": 2})
    assert read_checkpoint(tmp_path / "best")[1] == {"step": 1}
    assert read_checkpoint(tmp_path / "last")[1] == {"step": 2}


def test_the_best_checkpoint_is_copied_where_no_hard_link_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr("os.link", refuse)
    write_checkpoint(tmp_path / "last", TENSORS, HEADER, also=tmp_path / "best")
    assert (tmp_path / "best").read_bytes() == (tmp_path / "last").read_bytes()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damage_anywhere_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damage") / "last"
    write_checkpoint(path, TENSORS, HEADER)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
    else:
        at = data.draw(st.integers(0, len(content) - 1), label="byte")
        flipped = content[at] ^ (1 << data.draw(st.integers(0, 7), label="bit"))
        content[at] = flipped
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^{re.escape(str(path))}: "):
        read_checkpoint(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors", {"header": json.dumps({})})
    with pytest.raises(ModelError, match=r"not a checkpoint of this version \(format None, expected 'seqloom"):
        read_checkpoint(tmp_path / "model.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such checkpoint"):
        read_checkpoint(tmp_path / "none")
