"""The chance levels, as a predictor that has seen nothing but the distribution of the answers measures them."""

import pytest
import torch

from seqloom.synthetic.tasks import Tally, make_task, random_generator

LOGIT = 30.0  # of a certain answer


def constant(values):
    """The answers of a predictor that always gives these scores."""

    def predict(batch, task):
        shape = (*batch.targets.shape, task.output_size) if task.kind == "class" else batch.targets.shape
        return torch.tensor(values, dtype=torch.float64).expand(shape)

    return predict


def after_the_wait(batch, task):
    """Certain of the blank until the last steps, then certain that it is none of it."""
    outputs = torch.zeros(*batch.targets.shape, task.output_size, dtype=torch.float64)
    outputs[:, : -task.positions, task.values] = LOGIT
    outputs[:, -task.positions :, task.values] = -LOGIT
    return outputs


CASES = [
    ("adding", constant([1.0])),
    ("multiplication", constant([0.25])),
    ("temporal_order", constant([0.0] * 4)),
    ("temporal_order_3bit", constant([0.0] * 8)),
    ("permutation", constant([LOGIT, LOGIT] + [0.0] * 98)),
    ("copy", after_the_wait),
    ("memorisation", constant([0.0] * 2)),
    ("memorisation_20bit", constant([0.0] * 5)),
    ("noisy_memorisation", constant([0.0] * 2)),
    ("parity", constant([0.0, 0.0])),
]


@pytest.mark.parametrize(("name", "predict"), CASES, ids=[name for name, _ in CASES])
def test_who_remembers_nothing_scores_the_chance_level(name, predict):
    task = make_task(name, length=20)
    count = 20_000
    tally = Tally(task)
    for number in range(count // 1000):
        batch = task.batch(1000, random_generator(1, "train", number))
        if task.kind == "real":
            batch = type(batch)(batch.inputs, batch.lengths, batch.targets.double())
        tally.add(predict(batch, task), batch)
    metrics = tally.metrics()
    assert metrics["loss"] == pytest.approx(task.chance, rel=0.02)
    deviation = (task.chance_wrong * (1 - task.chance_wrong) / count) ** 0.5
    assert abs(metrics["wrong"] - task.chance_wrong) < 5 * deviation + 1e-6
    assert metrics["accuracy"] == 1 - metrics["wrong"]
    assert not task.criterion.met(metrics)


@pytest.mark.parametrize(("name", "constants"), [("adding", [0.9, 1.1]), ("multiplication", [0.2, 0.3])])
def test_no_other_constant_has_less_loss(name, constants):
    task = make_task(name, length=2)
    batch = task.batch(50_000, random_generator(2, "train"))
    losses = [float(task.loss(torch.full_like(batch.targets, value), batch)) for value in constants]
    assert min(losses) > task.chance


def test_the_known_figures_of_the_copy_task():
    levels = {length: make_task("copy", length).chance for length in (100, 200, 500, 1000)}
    assert levels == pytest.approx({100: 0.1733, 200: 0.0945, 500: 0.0400, 1000: 0.0204}, abs=5e-5)


def test_the_true_answers_meet_every_criterion():
    for name, _ in CASES:
        task = make_task(name, length=20)
        tally = Tally(task)
        batch = task.batch(500, random_generator(3, "train"))
        if task.kind == "real":
            outputs = batch.targets + 0.039
            tally.add(outputs, batch)
            assert tally.metrics()["wrong"] == 0
            assert task.wrong(batch.targets + 0.041, batch).all()
            assert task.wrong(batch.targets * torch.nan, batch).all()
            continue
        outputs = LOGIT * torch.nn.functional.one_hot(batch.targets.clamp(min=0), task.output_size).float()
        tally.add(outputs, batch)
        assert task.criterion.met(tally.metrics())


def test_losses_are_means_over_asked_steps_whatever_the_batches():
    task = make_task("parity", length=9)
    whole = task.batch(60, random_generator(4, "train"))
    outputs = torch.randn(*whole.targets.shape, 2, generator=random_generator(5, "train"))
    together, apart = Tally(task), Tally(task)
    together.add(outputs, whole)
    for rows in (slice(0, 7), slice(7, 60)):
        apart.add(outputs[rows], type(whole)(whole.inputs[rows], whole.lengths[rows], whole.targets[rows]))
    assert together.metrics() == pytest.approx(apart.metrics())
