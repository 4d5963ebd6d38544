"""Whether a step head learns to tell the steps apart, from a run's log."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from trainers.log import Line

JUDGED_AFTER = 1000  # optimizer steps, of which the log's last half counts


def recent_accuracy(log: Mapping[int, Line], step: int) -> float | None:
    """Mean accuracy on real images in a run's log after half of the steps; None where none is logged."""
    found = [line.get("step_accuracy_real") for at, line in log.items() if at > step / 2]
    known = [value for value in found if value is not None]
    return mean(known) if known else None


def is_at_chance(accuracy: float, num_steps: int) -> bool:
    """Whether it is within a tenth of the way from guessing one of S steps to knowing them all."""
    return accuracy < 1 / num_steps + 0.1 * (1 - 1 / num_steps)


def remark(log: Mapping[int, Line], step: int, num_steps: int) -> str | None:
    """What to say of a head that is at chance after `JUDGED_AFTER` steps or more; None: nothing."""
    accuracy = recent_accuracy(log, step) if step >= JUDGED_AFTER else None
    if accuracy is None or not is_at_chance(accuracy, num_steps):
        return None
    return (
        f"the step head is at chance after {step} steps: it is right on {accuracy:.0%} of real images, and guessing is "
        f"right on {1 / num_steps:.0%}; its loss teaches nothing. See discriminator and optim.discriminator, or leave "
        "it out with discriminator.step=none"
    )
