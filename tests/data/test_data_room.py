"""The room's names."""

import subprocess
import sys

import pytest

import seqloom.data


def test_every_public_name_is_there():
    for name in seqloom.data.__all__:
        found = getattr(seqloom.data, name)
        assert name in ("SCHEMES", "DIRECT_LABELS") or found.__module__.startswith("seqloom.data.")
    assert dir(seqloom.data) == sorted(seqloom.data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        seqloom.data.nothing  # noqa: B018


def test_the_room_does_without_torch():
    code = "import sys, seqloom.data, seqloom.data.tagged.check; seqloom.data.read; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
