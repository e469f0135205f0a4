import subprocess
import sys
from typing import Any

import pytest

from seqloom.errors import ConfigError
from seqloom.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"optimiser": "adamm"}, r"training.optimiser is 'adamm', which is not a choice; did you mean 'adam'\?"),
        ({"learning_rate": 0.0}, "training.learning_rate is 0.0, expected more than 0"),
        ({"learning_rate": float("nan")}, "training.learning_rate is nan, expected more than 0"),
        ({"momentum": 1.0}, "training.momentum is 1.0, expected at least 0 and less than 1"),
        ({"evaluate_every": float("inf")}, "training.evaluate_every is inf, expected more than 0"),
        ({"log_every": 0}, "training.log_every is 0, expected at least 1"),
        ({"clip_norm": -1.0}, "training.clip_norm is -1.0, expected at least 0"),
        ({"clip_value": -1.0}, "training.clip_value is -1.0, expected at least 0"),
        ({"l1": float("nan")}, "training.l1 is nan, expected at least 0"),
        ({"orthogonality": -0.5}, "training.orthogonality is -0.5, expected at least 0"),
        ({"monitor": ""}, "training.monitor is empty"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_its_range(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**setting)


def test_only_how_often_to_save_or_diagnose_and_the_threads_may_change_on_resumption() -> None:
    config = TrainingConfig()
    free = vars(config).keys() - config.fixed_on_resume().keys()
    assert free == {"checkpoint_seconds", "diagnose_every", "threads"}


def test_settings_are_read_without_torch() -> None:
    code = "import sys; import seqloom.training.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
