"""Counter-based noise: normal, independent, reproducible."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from data.draws import Draw
from images.noise import Purpose, noise_key, normal_noise, uniform_noise
from tests.tiny import SIZE, pair_dataset


def test_noise_is_standard_normal() -> None:
    noise = normal_noise(torch.tensor([noise_key(0, 3)]), (3, 128, 96)).numpy().ravel()
    assert stats.kstest(noise, "norm").pvalue > 0.01
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.01
    assert np.abs(noise).max() < 6.5


def test_neighbours_and_keys_are_independent() -> None:
    keys = torch.tensor([noise_key(0, 0, index) for index in range(64)])
    noise = normal_noise(keys, (1024,)).numpy()
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.015
    off_diagonal = np.corrcoef(noise)[~np.eye(64, dtype=bool)]
    assert abs(off_diagonal.mean()) < 0.01 and abs(off_diagonal).max() < 0.16


def test_noise_depends_on_its_key_alone() -> None:
    keys = torch.tensor([[noise_key(5, 0, index, d) for d in range(2)] for index in range(3)])
    batch = normal_noise(keys, (3, 7, 5))
    assert batch.shape == (3, 2, 3, 7, 5)
    assert torch.equal(batch[2, 1], normal_noise(keys[2, 1], (3, 7, 5)))


def test_splitmix64_gives_its_published_numbers() -> None:
    # Vigna's reference implementation seeded with 1234567: first outputs
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    from images.noise import _GOLDEN, _mix, _signed

    states = torch.tensor([_signed(1234567 + (i + 1) * _GOLDEN) for i in range(3)])
    assert [int(value) % 2**64 for value in _mix(states)] == expected


def test_keys_differ_in_every_counter() -> None:
    keys = {noise_key(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(keys) == 1000


def test_purposes_never_share_a_key() -> None:
    counters = [(), (0,), (1,), *((a, b) for a in range(4) for b in range(4)), (0, 0, 0), (0, 0, 3, 1)]
    keys = [noise_key(purpose, *numbers) for purpose in Purpose for numbers in counters]
    assert len(set(keys)) == len(keys) == 4 * len(counters)


def test_where_the_penalty_looks_is_uniform_and_no_pixel_of_the_noise() -> None:
    """Box and Muller's two uniform numbers of each pair of pixels, got back from the noise."""
    keys = torch.tensor([noise_key(Purpose.TRAINING, 0, 0, index, 0) for index in range(2000)])
    mix = uniform_noise(keys, Purpose.MIX).double().numpy()
    assert mix.min() >= 0 and mix.max() < 1 and stats.kstest(mix, "uniform").pvalue > 0.01
    cosine, sine = normal_noise(keys, (32,)).double().numpy().reshape(-1, 2, 16).transpose(1, 0, 2)
    radius, angle = np.exp(-(cosine**2 + sine**2) / 2), np.arctan2(sine, cosine) / (2 * np.pi) % 1
    for numbers in (cosine, sine, radius, angle):
        assert max(abs(np.corrcoef(mix, pixel)[0, 1]) for pixel in numbers.T) < 0.1


def test_no_pair_has_the_noise_of_another_split_epoch_line_direction_or_seed(dataset) -> None:
    keys = []
    for seed in (0, 1):
        train = pair_dataset(dataset, "train", SIZE, "joints", num_directions=2, seed=seed)
        test = pair_dataset(dataset, "test", SIZE, "joints", seed=seed)
        keys += [key for e in range(3) for i in range(len(train)) for key in train[Draw(e, i)]["noise_key"].tolist()]
        keys += [key for i in range(len(test)) for key in test[i]["noise_key"].tolist()]
    assert len(set(keys)) == len(keys) == 2 * (3 * 9 * 2 + 3)
