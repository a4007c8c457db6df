"""Learning rates: torch's own schedulers as oracle."""

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from serein.training.plan import SCHEDULES, Training
from serein.training.schedule import Schedule, factor

EPOCHS = 12

ORACLES: dict[str, Any] = {
    "fixed": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
    "step": lambda o: lr_scheduler.StepLR(o, step_size=5, gamma=0.3),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.3),
    "inverse_time": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + 0.3 * epoch)),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS),
    "cosine_restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=5),
}


def optimiser() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rate(of: torch.optim.Optimizer) -> float:
    return float(of.param_groups[0]["lr"])


def plan(**settings: Any) -> Training:
    return Training(**({"epochs": EPOCHS, "every": 5, "decay": 0.3} | settings))


@pytest.mark.parametrize("name", ORACLES)
def test_equals_torchs_scheduler_at_the_end_of_each_epoch(name: str):
    given = optimiser()
    oracle = ORACLES[name](given)
    for epoch in range(EPOCHS):
        assert factor(plan(schedule=name), epoch) == pytest.approx(rate(given), abs=1e-12)
        given.step()
        oracle.step()


def test_one_cycle_equals_torchs():
    given, steps = optimiser(), 2001
    oracle = lr_scheduler.OneCycleLR(given, max_lr=1.0, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        ours = factor(plan(schedule="one_cycle"), step / (steps - 1) * EPOCHS)
        assert ours == pytest.approx(rate(given), abs=2e-3)  # torch's peak is a step off
        if step < steps - 1:
            given.step()
            oracle.step()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_rises_from_zero_and_then_the_schedule_begins(name: str):
    warm = plan(schedule=name, warm_up=4, patience=1)
    bare = plan(schedule=name, epochs=EPOCHS - 4, patience=1)
    start = factor(bare, 0)
    assert [factor(warm, e) for e in (0, 1, 2)] == pytest.approx([0, start / 4, start / 2])
    for epoch in (0.0, 0.5, 3.0, 7.9):
        assert factor(warm, 4 + epoch) == pytest.approx(factor(bare, epoch))


def test_a_warm_up_may_take_the_whole_training():
    everything = plan(schedule="cosine", warm_up=EPOCHS)
    assert factor(everything, EPOCHS / 2) == 0.5
    assert factor(everything, EPOCHS) == 1.0


def test_every_schedule_is_there_and_stays_between_0_and_1():
    for name in SCHEDULES:
        values = [factor(plan(schedule=name), step / 10) for step in range(10 * EPOCHS + 1)]
        assert 0 <= min(values) <= max(values) <= 1


def test_the_rate_follows_every_batch():
    given = optimiser()
    settings = plan(schedule="cosine")
    schedule = Schedule(given, settings, steps=4)
    for batch in range(10):
        assert rate(given) == pytest.approx(factor(settings, batch / 4))
        given.step()
        schedule.after_batch()


def plateau(warm_up: float = 0) -> tuple[torch.optim.Optimizer, Schedule]:
    given = optimiser()
    settings = plan(schedule="plateau", every=2, patience=9, warm_up=warm_up)
    return given, Schedule(given, settings, steps=1)


def test_plateau_steps_after_epochs_without_a_better_loss():
    given, schedule = plateau()
    rates = []
    for loss in [1.0, 0.5, 0.6, 0.7, 0.4, 0.4, 0.4]:
        given.step()
        schedule.after_batch()
        schedule.after_epoch(loss)
        rates.append(rate(given))
    assert rates == pytest.approx([1, 1, 1, 0.3, 0.3, 0.3, 0.09])


def test_plateau_waits_for_the_warm_up():
    given, schedule = plateau(warm_up=4)
    rates = []
    for _ in range(7):
        given.step()
        schedule.after_batch()
        schedule.after_epoch(1.0)
        rates.append(rate(given))
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.3, 0.3])


@pytest.mark.parametrize("name", ["one_cycle", "plateau"])
def test_a_schedule_goes_on_from_its_state(name: str):
    settings = plan(schedule=name, every=2, patience=9)
    losses = [1.0, 1.1, 1.2, 0.9, 1.0, 1.0, 1.0, 1.0]

    def run(given: torch.optim.Optimizer, schedule: Schedule, losses: list[float]) -> list[float]:
        rates = []
        for loss in losses:
            given.step()
            schedule.after_batch()
            schedule.after_epoch(loss)
            rates.append(rate(given))
        return rates

    whole = optimiser()
    expected = run(whole, Schedule(whole, settings, 1), losses)
    first = optimiser()
    schedule = Schedule(first, settings, 1)
    begun = run(first, schedule, losses[:3])
    second = optimiser()
    resumed = Schedule(second, settings, 1)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert begun + run(second, resumed, losses[3:]) == expected
