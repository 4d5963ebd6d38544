"""Which checkpoint belongs to which configuration."""

from pathlib import Path

import pytest
import yaml

from config.load import load_config
from trainers.checkpoints import GENERATOR_KEYS, check_config

FILE = Path("step_00000001.pt")


def test_a_checkpoint_from_before_an_option_fits_its_default_alone():
    saved = load_config("config/dptn_256.yaml").model_dump(mode="json")
    del saved["generator"]["init_gain"]
    text = yaml.safe_dump(saved)
    check_config(FILE, text, load_config("config/dptn_256.yaml"), GENERATOR_KEYS)
    with pytest.raises(ValueError, match=r"generator.init_gain: 0.02 there, 1.0 here"):
        check_config(FILE, text, load_config("config/dptn_256.yaml", ["generator.init_gain=1"]), GENERATOR_KEYS)


def test_an_option_that_is_gone_is_a_difference_and_no_damage():
    saved = load_config("config/dptn_256.yaml").model_dump(mode="json")
    saved["generator"]["mystery"] = 3
    with pytest.raises(ValueError, match=r"generator.mystery: 3 there, None here"):
        check_config(FILE, yaml.safe_dump(saved), load_config("config/dptn_256.yaml"), GENERATOR_KEYS)
