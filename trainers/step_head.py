"""Whether a step head learns to tell the steps apart, from a run's log."""

from __future__ import annotations

import json
from collections.abc import Iterable

JUDGED_AFTER = 1000  # optimizer steps, of which the log's last half counts


def recent_accuracy(lines: Iterable[str], step: int) -> float | None:
    """Mean accuracy on real images in the lines of log.jsonl after half of the steps; None where none is logged."""
    logged = [line for line in map(json.loads, lines) if line["step"] > step / 2]
    found = [line["step_accuracy_real"] for line in logged if line.get("step_accuracy_real") is not None]
    return sum(found) / len(found) if found else None


def is_at_chance(accuracy: float, num_steps: int) -> bool:
    """Whether it is within a tenth of the way from guessing one of S steps to knowing them all."""
    return accuracy < 1 / num_steps + 0.1 * (1 - 1 / num_steps)


def remark(lines: Iterable[str], step: int, num_steps: int) -> str | None:
    """What to say of a head that is at chance after `JUDGED_AFTER` steps or more; None: nothing."""
    accuracy = recent_accuracy(lines, step) if step >= JUDGED_AFTER else None
    if accuracy is None or not is_at_chance(accuracy, num_steps):
        return None
    return (
        f"the step head is at chance after {step} steps: it is right on {accuracy:.0%} of real images, and guessing is "
        f"right on {1 / num_steps:.0%}; its loss teaches nothing. See discriminator and optim.discriminator, or leave "
        "it out with discriminator.step=none"
    )
