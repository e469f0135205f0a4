"""The benchmark runs every row and says what it saw. Nothing here depends on how fast anything is."""

import dataclasses
import json
import math
import os
import sys

import numpy as np
import pytest
import torch

import seqloom
from seqloom.app.bench import against_torch, measure, processes, run_rows, timing
from seqloom.app.bench.comparison import Contest, Shape, Side, environment, largest_difference
from seqloom.app.bench.engine import COMPARISONS
from seqloom.app.bench.timing import Pace, interleave, timer
from seqloom.app.main import main
from seqloom.engine.runtime.backend import BACKENDS
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent

PACE = Pace(repeats=2, seconds=0.0, block=0.0, blocks=2)
# Each starts two processes; one of them stands for the others, which differ in their shape alone.
NAMES = [
    one.name for one in COMPARISONS if not one.name.startswith("uncompiled") or one.name == "uncompiled-training-b1"
]


def small(comparison):
    shape = comparison.shape
    sizes = Shape(min(shape.batch, 3), min(shape.time, 5), 6, 4, shape.fill)
    return dataclasses.replace(comparison, shape=sizes)


def row_of(name):
    return small(next(one for one in COMPARISONS if one.name == name))


@pytest.fixture
def small_rows(monkeypatch):
    monkeypatch.setattr(measure, "COMPARISONS", tuple(map(small, COMPARISONS)))
    monkeypatch.setattr(measure, "QUICK", PACE)


@pytest.fixture
def contest(monkeypatch):
    """Puts a contest in the place of every row's, and gives the function that does so."""

    def put(made):
        rows = tuple(dataclasses.replace(one, build=lambda shape: made) for one in COMPARISONS)
        monkeypatch.setattr(measure, "COMPARISONS", rows)
        monkeypatch.setattr(measure, "QUICK", PACE)

    return put


@pytest.mark.parametrize("name", NAMES)
def test_every_row_compares_sides_that_agree(name):
    row = measure.measure(row_of(name), PACE)
    if row.status == "not available":
        assert row.note
        assert row.ratio is None
        return
    assert row.status == "measured", row.note
    assert row.difference <= row.tolerance
    assert row.ours > 0
    assert row.rival > 0
    assert len(row.ratios) == 2
    assert row.share == pytest.approx(row.ratio / row.comparison.target)
    assert row.backend in {*BACKENDS} or name.startswith("stream")


def test_names_are_unique_and_every_row_has_a_target():
    assert len({one.name for one in COMPARISONS}) == len(COMPARISONS)
    assert all(one.target > 0 for one in COMPARISONS)


class StreamOfSteps:
    def __init__(self, layer):
        self._layer, self._state = layer, None

    def step(self, x):
        with torch.inference_mode():
            outputs, self._state = self._layer.step(torch.from_numpy(x), self._state)
        return outputs.numpy()


@pytest.mark.parametrize("name", ["stream-64", "stream-onnx-64"])
def test_a_stream_is_compared_over_steps_that_carry_its_state(name, monkeypatch):
    monkeypatch.setattr(Recurrent, "stream", lambda layer: StreamOfSteps(layer), raising=False)
    row = measure.measure(row_of(name), PACE)
    assert row.status == "measured" or "not installed" in row.note
    monkeypatch.setattr(Recurrent, "step", lambda layer, x, state=None: (torch.zeros(len(x), 4), None))
    row = measure.measure(row_of(name), PACE)
    assert row.status == "differs" or "not installed" in row.note


def test_weights_of_8_bits_may_differ_more_but_not_by_any_amount(monkeypatch):
    def quantize(layer, form, noise=0.001):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter += noise * torch.randn_like(parameter)
        return layer

    monkeypatch.setattr(seqloom, "quantize", quantize, raising=False)
    assert measure.measure(row_of("int8-b1-lstm-128"), PACE).status == "measured"
    monkeypatch.setattr(seqloom, "quantize", lambda layer, form: quantize(layer, form, 1.0))
    assert measure.measure(row_of("int8-b1-lstm-128"), PACE).status == "differs"


def test_a_wrong_gradient_of_any_parameter_is_found(monkeypatch):
    as_ours = against_torch._as_ours

    def wrong(peer, gradients):
        right = as_ours(peer, gradients)
        last = list(right)[-1]
        return {**right, last: right[last] + 0.01 * right[last].abs().max()}

    monkeypatch.setattr(against_torch, "_as_ours", wrong)
    for name in ("training-b32-gru-256", "lengths-lstm-256", "tagger-lengths"):
        row = measure.measure(row_of(name), PACE)
        assert row.status == "differs", name
        assert "the results differ by" in row.note


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    for name, package in (("onnx-b1-gru-256", "onnxruntime"), ("jax-forward", "jax")):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "onnx", sys)  # whether or not it is here
            without.setitem(sys.modules, package, None)
            row = measure.measure(row_of(name), PACE)
        assert row.status == "not available"
        assert row.note == f"{package} is not installed: pip install 'seqloom[bench]'"


def test_two_processes_with_one_seed_do_the_same_work(monkeypatch):
    monkeypatch.setenv(processes.COMPILE, "0")
    shape = Shape(2, 3, 4, 5)
    with processes._Child(shape, True, 7, {}) as first:
        theirs = first.values()
        assert first.seconds(3) > 0
    with torch.random.fork_rng():  # the second process is this one
        side = processes._side({"shape": dataclasses.asdict(shape), "training": True, "seed": 7, "threads": 1})
    ours = {name: torch.as_tensor(value).detach() for name, value in side.values().items()}
    assert set(ours) == {"outputs", "x", "weight_fgo_x", "weight_fgo_h", "bias_fgo", "vector_peephole"}
    assert largest_difference(ours, theirs) == 0
    assert first._process.returncode == 0


def test_a_drifting_machine_leaves_the_ratio_alone_and_sides_change_places():
    calls, slowness = [], [1.0]

    def side(name, cost):
        def seconds(runs):
            calls.append(name)
            slowness[0] *= 1.001
            return runs * cost * slowness[0]

        return seconds

    repeats = interleave([side("a", 1.0), side("b", 3.0)], Pace(repeats=3, seconds=400.0, block=1.0, blocks=2))
    assert [theirs / ours for ours, theirs in repeats] == pytest.approx([3.0] * 3, rel=0.01)
    turns = "".join(call for call in calls[2:])
    assert "bb" in turns
    assert "aa" in turns
    assert abs(turns.count("a") - turns.count("b")) < 3 * 100


def test_a_timer_counts_all_runs_by_its_clock():
    now, runs = iter([10.0, 12.5]), []
    assert timer(lambda: runs.append(1), lambda: next(now))(5) == 2.5
    assert len(runs) == 5


def test_the_collection_of_garbage_is_off_while_the_clock_runs_and_on_again_after_an_error():
    import gc

    seen = []
    interleave([timer(lambda: seen.append(gc.isenabled()))], PACE)
    assert seen[-1] is False
    assert gc.isenabled()

    def fail(runs):
        if not gc.isenabled():
            raise RuntimeError
        return 1.0

    with pytest.raises(RuntimeError):
        interleave([fail], PACE)
    assert gc.isenabled()


def test_differences_are_relative_to_large_entries_and_never_lose_a_nan():
    one = np.array([1.0, 200.0])
    assert largest_difference({"a": one}, {"a": np.array([1.5, 200.0])}) == pytest.approx(0.5 / 200)
    assert largest_difference({"a": one / 200}, {"a": one / 200 + 0.5}) == pytest.approx(0.5 / 1.5)
    assert math.isnan(largest_difference({"a": one, "b": np.array([np.nan])}, {"a": one, "b": np.array([0.0])}))
    with pytest.raises(ValueError, match="names"):
        largest_difference({"a": one}, {"b": one})
    with pytest.raises(ValueError, match="shapes"):
        largest_difference({"a": one}, {"a": one[None]})


def test_lengths_have_the_mean_that_was_asked_for_and_one_is_whole():
    for fill in (0.5, 0.6, 0.8):
        lengths = against_torch._lengths(Shape(150, 100, 1, 1, fill))
        assert int(lengths.max()) == 100
        assert lengths.double().mean() / 100 == pytest.approx(fill, abs=0.01)


def test_rows_are_selected_by_pattern_and_a_wrong_name_is_refused():
    names = [one.name for one in measure.select(["stream-*", "user-b1"])]
    assert names == ["user-b1", "stream-64", "stream-128", "stream-onnx-64", "stream-onnx-128"]
    assert len(measure.select([])) == len(COMPARISONS)
    with pytest.raises(ConfigError, match="did you mean 'user-b32'"):
        measure.select(["user-b33"])


def test_a_row_has_the_same_weights_whichever_rows_are_measured(small_rows):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    together = run_rows(["forward-b1-gru-256", "training-b1-gru-256"], threads=1)
    alone = run_rows(["training-b1-gru-256"], threads=1)
    assert together[1].difference == alone[0].difference
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert measure.COMPILE not in os.environ or os.environ[measure.COMPILE] != "wait"


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("SEQLOOM_A", "before")
    monkeypatch.delenv("SEQLOOM_B", raising=False)
    with environment({"SEQLOOM_A": "1", "SEQLOOM_B": "2"}):
        assert (os.environ["SEQLOOM_A"], os.environ["SEQLOOM_B"]) == ("1", "2")
    assert os.environ["SEQLOOM_A"] == "before"
    assert "SEQLOOM_B" not in os.environ


def test_the_verb_prints_and_writes_the_table(small_rows, tmp_path, capsys):
    files = ["--json", str(tmp_path / "out.json"), "--markdown", str(tmp_path / "out.md")]
    arguments = [
        "bench",
        "engine",
        "--rows",
        "forward-b1-*",
        "lengths-gru-256",
        "--seed",
        "3",
        "--threads",
        "1",
        *files,
    ]
    assert main(arguments) == 0
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (report["seed"], report["threads"], report["form"]) == (3, 1, "quick")
    assert report["command"].startswith("seqloom bench engine --rows 'forward-b1-*' lengths-gru-256 --seed 3")
    assert {"processor", "cores"} <= set(report["machine"])
    assert {"python", "torch"} <= set(report["versions"])
    assert [row["name"] for row in report["rows"]][-1] == "lengths-gru-256"
    page, printed = (tmp_path / "out.md").read_text(encoding="utf-8"), capsys.readouterr().out
    for row in report["rows"]:
        assert row["status"] == "measured"
        assert row["share_of_target"] == pytest.approx(row["ratio"] / row["target"])
        assert f"| {row['name']} |" in page
        assert row["name"] in printed
    assert "measured rows reach 80 %" in page
    assert "measured rows reach 80 %" in printed


def test_results_that_differ_are_not_timed_and_end_with_status_1(contest, tmp_path, capsys):
    closed = []

    def never():
        raise AssertionError("timed")

    sides = [Side(never, lambda value=value: {"y": np.array([value])}) for value in (math.nan, 0.0)]
    contest(Contest(*sides, backend="derived", close=lambda: closed.append(True)))
    out = tmp_path / "out.json"
    assert main(["bench", "engine", "--rows", "user-b1", "--json", str(out)]) == 1
    assert "the results differ by nan" in capsys.readouterr().out
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert (row["status"], row["difference"], row["ratio"]) == ("differs", None, None)
    assert closed == [True]


def test_the_verdict_counts_targets_within_reach(contest, capsys):
    def side(seconds):
        return Side(lambda: None, lambda: {"y": np.zeros(1)}, lambda runs: runs * seconds)

    contest(Contest(side(1.0), side(2.41), backend="derived"))
    assert main(["bench", "engine", "--rows", "tagger-*", "forward-b1-lstm-128"]) == 0
    printed = capsys.readouterr().out
    assert "2 of 3 measured rows reach 80 %" in printed  # 96 % of 2.5, 60 % of 4.0, 80.3 % of 3.0
    assert "96 %" in printed


def test_a_list_of_the_rows_measures_nothing(capsys):
    assert main(["bench", "engine", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(one.name in printed for one in COMPARISONS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "needs WHAT"),
        (["engines"], "'engines' is not one of 'engine'"),
        (["engine", "--quick", "--full"], "choose one"),
        (["engine", "--threads", "0"], "--threads is 0"),
        (["engine", "--rows", "user-b33"], "did you mean 'user-b32'"),
        (["engine", "--json", "nowhere/at/all.json"], "--json: there is no folder 'nowhere/at'"),
    ],
)
def test_a_wrong_option_is_named(arguments, sentence, capsys):
    assert main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_the_quick_form_is_the_shorter_one():
    assert timing.QUICK.seconds < timing.FULL.seconds
    assert timing.QUICK.repeats == timing.FULL.repeats == 3
