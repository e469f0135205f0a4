"""The toy task for every test of the loop, and one run of the script that kills, interrupts and doubles trainings."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("harness.py")


@pytest.fixture(scope="session")
def harness() -> ModuleType:
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("learning_harness", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Directory and report of the script; see ``harness.py``."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork, which the script needs")
    root = tmp_path_factory.mktemp("ordeal")
    done = subprocess.run([sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout.splitlines()[-1])
