import pytest

from seqloom.training.config import TrainingConfig
from seqloom.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.5, 0.0]),
        ("cosine", [1.0, 0.5, 0.0]),
        ("halve_on_plateau", [0.25, 0.25, 0.25]),
        ("inverse", [1.0, 0.8, 1 / 1.5]),  # after 0, 5 and 10 epochs
    ],
)
def test_a_schedule_depends_on_progress_and_plateaus_alone(schedule: str, expected: list[float]) -> None:
    config = TrainingConfig(learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate(config, step=s, progress=p, halvings=2) for s, p in ((0, 0.0), (50, 0.5), (100, 1.0))]
    assert rates == pytest.approx(expected)


def test_warm_up_rises_to_the_full_rate() -> None:
    config = TrainingConfig(learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(config, step=step, progress=0.0, halvings=0) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
