"""The table of objectives: a new one is a file of its own and a line here."""

from __future__ import annotations

from losses.dptn import DPTNObjective
from losses.nted import NTEDObjective
from losses.objective import Objective, ObjectiveConfig
from losses.pix2pix import Pix2PixObjective

OBJECTIVES: dict[str, type[Objective]] = {"dptn": DPTNObjective, "nted": NTEDObjective, "pix2pix": Pix2PixObjective}


def build_objective(config: ObjectiveConfig) -> Objective:
    """The image losses; raises ValueError where the weights of a feature network cannot be had."""
    return OBJECTIVES[config.kind](config)
