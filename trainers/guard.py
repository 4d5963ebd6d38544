"""Optimizer steps with gradients that are not finite are left out, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from losses.objective import Terms

MOST_IN_A_ROW = 20


class Diverged(RuntimeError):
    """Too many steps in a row were not finite."""


class Guard:
    """Takes optimizer steps, or leaves them out.

    Gradients are the same on all processes once reduced, so all decide alike. The decision stays on the device: fused
    Adam leaves its step out where `found_inf` is 1, as it does for a gradient scaler.

    Attributes:
        skipped: () float, the steps left out so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.skipped = torch.zeros((), device=device)
        self._in_a_row: dict[Optimizer, Tensor] = {}
        self._suspects: Terms = {}

    def step(self, optimizer: Optimizer, terms: Terms) -> None:
        """One step of an optimizer; `terms` are the losses behind it, for the message when a run diverges."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms: list[Tensor] = list(torch._foreach_norm(gradients))
        bad = (~torch.stack(norms).isfinite().all()).float()
        optimizer.found_inf = bad  # type: ignore[attr-defined]
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        optimizer.step()
        self.skipped = self.skipped + bad
        self._in_a_row[optimizer] = (self._in_a_row.get(optimizer, torch.zeros_like(bad)) + 1) * bad
        self._suspects |= terms

    def check(self) -> None:
        """Wait for the device and raise `Diverged`, naming the terms, after `MOST_IN_A_ROW` skipped steps in a row."""
        most = max((int(count) for count in self._in_a_row.values()), default=0)
        if most < MOST_IN_A_ROW:
            return
        names = [name for name, value in self._suspects.items() if not torch.isfinite(value)]
        raise Diverged(
            f"{most} optimizer steps in a row had gradients that are not finite "
            f"(losses that are not: {', '.join(names) or 'none'}); lower the learning rate "
            "or set trainer.precision=fp32, and run again from an earlier checkpoint"
        )
