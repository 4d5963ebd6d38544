"""models.unfilled: the shapes of real networks."""

from __future__ import annotations

import pytest

from models.build import build_networks
from models.originals import SYSTEMS, State
from models.unfilled import unfilled_networks
from tests.published import small_config


def shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("system", SYSTEMS)
def test_unfilled_networks_have_the_names_order_and_shapes_of_real_ones(system):
    config = small_config(system)
    for unfilled, real in zip(unfilled_networks(config), build_networks(config), strict=True):
        assert list(shapes(unfilled.state_dict()).items()) == list(shapes(real.state_dict()).items())
        assert [name for name, _ in unfilled.named_parameters()] == [name for name, _ in real.named_parameters()]
