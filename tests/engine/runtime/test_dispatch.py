"""The instruction sets that the kernels find are those that the operating system lists."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from seqloom.engine.runtime import native

CPU = Path("/proc/cpuinfo")
NEEDED = {
    "avx512": {"avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl"},
    "avx2": {"avx2", "fma", "f16c"},
    "portable": set(),
}

pytestmark = pytest.mark.skipif(not native.available(), reason="the kernels were not built")


def listed():
    """The flags of the processor that the system lists, which leaves out what it does not save for a thread."""
    lines = [line for line in CPU.read_text().splitlines() if line.startswith("flags")]
    return set.intersection(*(set(line.split(":", 1)[1].split()) for line in lines))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 alone has these instruction sets")
@pytest.mark.skipif(not CPU.exists(), reason="there is no /proc/cpuinfo here")
def test_the_processor_says_what_the_system_says():
    assert native.kernels().instruction_sets() == [name for name, flags in NEEDED.items() if flags <= listed()]
    wanted = NEEDED["avx512"] | {"avx512_vnni"}
    assert native.kernels().has_byte_products() == (wanted <= listed())


@pytest.mark.skipif(platform.machine() in ("x86_64", "AMD64"), reason="this is x86")
def test_other_processors_run_the_portable_kernels():
    assert native.kernels().instruction_sets() == ["portable"]


def test_the_best_set_runs_unless_another_is_wished_for():
    names = native.kernels().instruction_sets()
    script = "from seqloom.engine.runtime import native; print(native.instruction_set())"
    for wish in ("", *names):
        environment = {**os.environ, native.INSTRUCTION_SET: wish}
        found = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == (wish or names[0])
