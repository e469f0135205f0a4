"""A seqloom that was installed without its compiled part does everything that it can, and says once what is missing."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = r"""
import json, sys, warnings
sys.modules["seqloom.engine.runtime._kernels"] = None  # importing it fails from now on
said = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, category, *rest: said.append((category.__name__, str(message)))

import torch, seqloom, seqloom.errors
from seqloom.cells import Cell
from seqloom.engine.operations import softplus, tanh

class Own(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) + 0.1 * softplus(h)

def distance(value, wanted):
    return float((value - wanted).detach().abs().max())

found = {"before": len(said)}
torch.manual_seed(0)
x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
for cell in ("lstm", "gru", Own):
    name = cell if isinstance(cell, str) else "own"
    layer = seqloom.Recurrent(cell, 3, 4, bidirectional=True)
    outputs, state = layer(x, lengths=lengths)
    outputs.sum().backward()
    with torch.no_grad():
        again, _ = layer(x, lengths=lengths)
    layer.backend = "reference"
    wanted, _ = layer(x, lengths=lengths)
    layer.backend = None
    found[name] = {
        "backend": seqloom.explain(layer).choices[0].backend,
        "error": max(distance(value, wanted) for value in (outputs, again)),
        "gradients": all(parameter.grad is not None for parameter in layer.parameters()),
        "short": str(seqloom.explain(layer)),
        "detail": str(seqloom.explain(cell)),
    }

torchs = torch.nn.GRU(3, 4, batch_first=True)
wanted = torchs(x)[0]
found["accelerated"] = distance(seqloom.accelerate(torchs)(x)[0], wanted)
found["drop-in"] = list(seqloom.nn.LSTM(3, 4, batch_first=True)(x)[0].shape)

layer = seqloom.Recurrent("gru", 3, 4)
wanted = layer(x[:1])[0]
stream = layer.stream()
found["stream"] = {"path": stream.path, "reason": stream.reason, "error": distance(stream.push(x[:1]), wanted)}
quantized = seqloom.quantize(layer)
found["quantized"] = {"error": distance(quantized(x[:1])[0], wanted), "words": str(seqloom.explain(quantized))}
try:
    seqloom.Recurrent("gru", 3, 4, backend="cpu")(x)
except seqloom.errors.ConfigError as error:
    found["asked for"] = str(error)
found["said"] = said
print(json.dumps(found))
"""
MISSING = "the compiled kernels are missing"


@pytest.fixture(scope="module")
def found():
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SEQLOOM_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120, env=settings
    )
    return json.loads(done.stdout)


def test_one_warning_in_the_process_names_the_remedy(found):
    kinds, words = zip(*found["said"], strict=True)
    assert found["before"] == 0
    assert kinds == ("RuntimeWarning",)
    assert "compiled kernels are missing" in words[0]
    assert (
        "install a C++17 compiler and run: pip install --force-reinstall --no-deps --no-cache-dir seqloom" in words[0]
    )


@pytest.mark.parametrize(("cell", "backend"), [("lstm", "vendor"), ("gru", "vendor"), ("own", "derived")])
def test_layers_train_and_run_in_torch_and_explain_says_so(found, cell, backend):
    of_cell = found[cell]
    assert (of_cell["backend"], of_cell["gradients"]) == (backend, True)
    assert of_cell["error"] < 1e-5
    assert f"{backend} ({MISSING}" in of_cell["short"]
    assert "install a C++17 compiler and reinstall seqloom" in of_cell["short"].splitlines()[-1]
    assert f"{MISSING} and torch does their work, more slowly; install a C++17 compiler" in of_cell["detail"]
    assert "instruction set" not in of_cell["detail"]


def test_the_drop_in_layers_work(found):
    assert found["accelerated"] < 1e-5
    assert found["drop-in"] == [2, 5, 4]


def test_streams_go_on_in_python_and_say_why(found):
    assert (found["stream"]["path"], found["stream"]["reason"]) == ("python", MISSING)
    assert found["stream"]["error"] < 1e-5


def test_quantized_layers_compute_in_torch(found):
    assert found["quantized"]["error"] < 1e-2
    assert MISSING in found["quantized"]["words"]


def test_asking_for_the_compiled_engine_is_one_clear_sentence(found):
    assert found["asked for"] == (f"backend: 'cpu' cannot run this layer: {MISSING}; choose 'auto' or 'reference'")
