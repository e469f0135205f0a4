"""The kernels' vector type and functions, compiled alone for every instruction set that this machine can run."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

SOURCES = Path(__file__).parents[3] / "csrc"
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++") or ""
STRIDE = 4001  # a prime: a million floats, beside the special ones
FUNCTIONS = ("exp", "log", "sigmoid", "softplus", "tanh")


@dataclass(frozen=True)
class InstructionSet:
    name: str
    lanes: int
    capabilities: tuple[str, ...]
    """What torch calls the machines that have it; none: all machines."""
    flags: tuple[str, ...] = ()


INSTRUCTION_SETS = (
    InstructionSet("portable", 4, ()),
    # The same four lanes with a product and a sum rounded once: the arithmetic of machines like NEON's.
    InstructionSet("fused", 4, ("AVX2", "AVX512"), ("-mfma",)),
    InstructionSet("avx2", 8, ("AVX2", "AVX512"), ("-mavx2", "-mfma", "-mf16c")),
    InstructionSet("avx512", 16, ("AVX512",), ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma")),
)

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C++ compiler")


def stated_errors() -> dict[str, float]:
    """The largest error that the header promises for each function, in ulp."""
    promise = re.compile(r"Error: at most ([\d.]+) ulp(?:(?!Error:)[\s\S])*?SEQLOOM_INLINE vec (\w+)\(vec x\)")
    return {name: float(error) for error, name in promise.findall((SOURCES / "mathematics.h").read_text())}


@pytest.fixture(scope="module", params=INSTRUCTION_SETS, ids=lambda instruction_set: instruction_set.name)
def instruction_set(request: pytest.FixtureRequest) -> InstructionSet:
    wanted: InstructionSet = request.param
    if wanted.capabilities and torch.backends.cpu.get_cpu_capability() not in wanted.capabilities:
        pytest.skip(f"this machine has no {wanted.name}")
    return wanted


def build(source: str, target: Path, instruction_set: InstructionSet, *options: str) -> Path:
    command = [COMPILER, "-std=c++17", "-O2", "-fno-math-errno", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    command += [*instruction_set.flags, f"-DSEQLOOM_ISA={instruction_set.name}", *options]
    result = subprocess.run(
        [*command, SOURCES / "tests" / source, "-o", target], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return target


@pytest.fixture(scope="module")
def accuracy(instruction_set: InstructionSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("accuracy.cpp", tmp_path_factory.mktemp(instruction_set.name) / "accuracy", instruction_set)


def largest_error(program: Path, function: str, *arguments: int) -> tuple[int, float, str, int]:
    """Lanes, the largest error in ulp, the argument it was at, and how many results were wrong altogether."""
    command = [str(program), function, *map(str, arguments)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _, lanes, error, argument, wrong = output.split()
    return int(lanes), float(error), argument, int(wrong)


def test_the_header_states_an_error_of_every_function() -> None:
    errors = stated_errors()
    assert tuple(sorted(errors)) == FUNCTIONS
    assert max(errors.values()) <= 3.0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_stay_within_what_the_header_states(
    accuracy: Path, instruction_set: InstructionSet, function: str
) -> None:
    lanes, error, argument, wrong = largest_error(accuracy, function, STRIDE)
    assert lanes == instruction_set.lanes
    assert wrong == 0, f"{function}({argument})"
    assert 0.4 < error <= stated_errors()[function], f"{function}({argument})"


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_float_has_a_larger_error_than_the_header_states(accuracy: Path, function: str) -> None:
    part = 2**26
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = threads.map(lambda first: largest_error(accuracy, function, 1, first, part), range(0, 2**32, part))
    for _, error, argument, wrong in results:
        assert wrong == 0, f"{function}({argument})"
        assert error <= stated_errors()[function], f"{function}({argument})"


@pytest.fixture(scope="module")
def operations(instruction_set: InstructionSet, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp(instruction_set.name) / "operations.so"
    return ctypes.CDLL(str(build("operations.cpp", target, instruction_set, "-shared", "-fPIC")))


def pointer(values: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.data_ptr())


Expected = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
EXPECTED: dict[str, Expected] = {
    "absolute": lambda a, b, c: a.abs(),
    "equal": lambda a, b, c: (a == b).float(),
    "less": lambda a, b, c: (a < b).float(),
    "less_equal": lambda a, b, c: (a <= b).float(),
    "maximum": lambda a, b, c: torch.maximum(a, b),
    "minimum": lambda a, b, c: torch.minimum(a, b),
    "reciprocal": lambda a, b, c: 1.0 / a,
    "relu": lambda a, b, c: torch.relu(a),
    "sign": lambda a, b, c: torch.sign(a),
    "sqrt": lambda a, b, c: torch.sqrt(a.double()).float(),  # rounded correctly; in single precision torch is not
    "where": lambda a, b, c: torch.where(a != 0, b, c),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_operations_are_those_of_torch_also_on_special_values(operations: ctypes.CDLL, name: str) -> None:
    special = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-40, -1e-40, 3e38, -3e38, torch.inf, -torch.inf, torch.nan]
    a, b = torch.cartesian_prod(torch.tensor(special), torch.tensor(special)).T.contiguous()
    a, b = torch.nn.functional.pad(a, (0, 7)), torch.nn.functional.pad(b, (0, 7))  # 176: whole vectors
    c = torch.full_like(a, torch.nan)
    out = torch.empty_like(a)
    assert operations.apply(name.encode(), *map(pointer, (a, b, c, out)), ctypes.c_int64(len(a))) == 0
    torch.testing.assert_close(out, EXPECTED[name](a, b, c), rtol=0, atol=0, equal_nan=True)


def test_the_fused_product_and_sum_errs_by_a_rounding_of_each_at_most(operations: ctypes.CDLL) -> None:
    a, b, c = torch.randn(3, 1024, generator=torch.Generator().manual_seed(0)).unbind()
    out = torch.empty_like(a)
    assert operations.apply(b"fma", *map(pointer, (a, b, c, out)), ctypes.c_int64(len(a))) == 0
    exact = a.double() * b.double() + c.double()
    bound = 2.0**-24 * ((a.double() * b.double()).abs() + exact.abs())
    assert bool(((out.double() - exact).abs() <= bound).all())


def test_sums_leave_out_the_lanes_beyond_the_count(operations: ctypes.CDLL) -> None:
    lanes = operations.lanes()
    operations.sum_of_first.restype = ctypes.c_float
    values = torch.arange(1, lanes + 1, dtype=torch.float32)
    for count in (*range(lanes + 1), lanes + 1, 2**40):
        filled = torch.where(torch.arange(lanes) < count, values, torch.nan)  # nothing of the others leaks
        assert operations.sum_of_first(pointer(filled), ctypes.c_int64(count)) == float(values[:count].sum())
