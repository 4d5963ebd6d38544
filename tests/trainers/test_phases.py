"""What a phase computes and what a step does with it, by hand: networks of one number each, images of one colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import RolloutConfig
from losses.objective import Window
from losses.pix2pix import Pix2PixConfig, Pix2PixObjective
from models.layers import DiscriminatorOutput, GeneratorOutput
from models.schedules import Clean, CleanConfig, Quantize, QuantizeConfig
from studies.flops import synthetic_batch
from tests.trainers.test_trainer import ALONE, tiny
from trainers.engine import Engine
from trainers.phases import DiscriminatorPhase, GeneratorPhase, R1Phase, step_labels
from trainers.window import roll, samples_of

SIZE = (4, 6)


class Brighter(nn.Module):
    """The canvas and a number."""

    reconstructs = False

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.25))
        self.calls: list[tuple[Tensor, ...]] = []

    def forward(self, source, source_pose, target_pose, canvas, step, reconstruct=False) -> GeneratorOutput:
        self.calls.append((source, source_pose, target_pose, canvas, step))
        return GeneratorOutput(canvas + self.weight)


class Mean(nn.Module):
    """Twice the mean of an image, and a classifier of two steps that believes in the second one, 3 to 1."""

    def __init__(self, num_steps: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.log_probs = torch.tensor([[0.25, 0.75]]).log() if num_steps == 2 else None

    def forward(self, images: Tensor, step: Tensor) -> DiscriminatorOutput:
        mean = images.mean(dim=(1, 2, 3), keepdim=True).flatten(1)
        log_probs = None if self.log_probs is None else self.log_probs + 0 * mean
        return DiscriminatorOutput(self.weight * mean, log_probs)


def colour(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, *SIZE).clone()


def window(fake: Tensor, real: Tensor, step: list[int]) -> Window:
    boxes = torch.zeros(len(fake), 4)
    return Window(fake, real, torch.tensor(step), real, real, None, boxes, boxes, (), torch.arange(len(fake)))


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_the_generators_loss_is_the_sum_of_its_weighted_terms():
    """Generated images of 0.5, targets of -0.25: scores of 1."""
    config = Pix2PixConfig(gan_mode="non_saturating", gan=3, step=5, l1=10)
    phase = GeneratorPhase(Brighter(), Mean(), Clean(CleanConfig(num_steps=2), SIZE), Pix2PixObjective(config), None)
    terms = phase.terms(window(colour(0.5, 0.5), colour(-0.25, -0.25), [0, 1]))
    expected = {"l1": 7.5, "gan": 3 * softplus(-1), "step_nll": 5 * (math.log(4) + math.log(4 / 3)) / 2}
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected)
    batch = batch_of(source=colour(0), target=colour(0.5), noise=colour(0.1)[:, None])
    phase = GeneratorPhase(Brighter(), Mean(), phase.schedule, phase.objective, RolloutConfig())
    loss, terms, _ = phase(batch)
    assert float(loss.detach()) == pytest.approx(sum(float(term) for term in terms.values()))
    assert not any(term.requires_grad for term in terms.values())


def test_no_step_term_without_its_weight_or_without_a_step_head():
    for weight, head in ((0, 2), (1, 1)):
        objective = Pix2PixObjective(Pix2PixConfig(step=weight))
        phase = GeneratorPhase(Brighter(), Mean(head), Clean(CleanConfig(num_steps=2), SIZE), objective, None)
        assert phase.terms(window(colour(0.5), colour(0), [1])).keys() == {"l1", "gan"}


def test_the_generators_phase_moves_the_generator_alone():
    generator, critic = Brighter(), Mean()
    objective = Pix2PixObjective(Pix2PixConfig())
    phase = GeneratorPhase(generator, critic, Clean(CleanConfig(num_steps=2), SIZE), objective, RolloutConfig())
    phase(batch_of(source=colour(0), target=colour(0.5), noise=colour(0.1)[:, None]))[0].backward()
    assert generator.weight.grad is not None and critic.weight.grad is None and critic.weight.requires_grad
    assert list(phase.parameters()) == [generator.weight]


def test_the_discriminator_tells_real_from_generated_and_both_their_step():
    """Scores of 1 for generated images, -0.5 for real ones; the step terms have no weight here."""
    phase = DiscriminatorPhase(Mean(), Pix2PixConfig(gan_mode="non_saturating", gan=3, step=5))
    loss, terms, _ = phase(window(colour(0.5, 0.5), colour(-0.25, -0.25), [1, 1]))
    labels = math.log(4 / 3)
    expected = {"d_fake": softplus(1), "d_real": softplus(0.5), "d_fake_step_nll": labels, "d_real_step_nll": labels}
    shares = {"step_accuracy_fake": 1, "step_accuracy_real": 1}  # logged, and no part of the loss
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected | shares)
    assert float(loss.detach()) == pytest.approx(sum(expected.values()))


def test_the_gradient_penalty_is_multiplied_by_its_weight():
    """A gradient of 2 / 72 at each of 72 values: its norm is 2 / sqrt(72)."""
    phase = DiscriminatorPhase(Mean(1), Pix2PixConfig(gan_mode="wasserstein", gradient_penalty=7))
    _, terms, _ = phase(window(colour(0.5), colour(-0.25), [0]))
    assert float(terms["gradient_penalty"]) == pytest.approx(7 * (2 / math.sqrt(72) - 1) ** 2, rel=1e-4)


def test_the_accuracy_of_the_step_head_is_the_share_of_images_whose_step_it_says():
    terms = DiscriminatorPhase(Mean(), Pix2PixConfig())(
        window(colour(0.0, 0.0, 0.0), colour(0.0, 0.0, 0.0), [1, 0, 1])
    )[1]
    assert [float(terms[f"step_accuracy_{kind}"]) for kind in ("real", "fake")] == pytest.approx([2 / 3, 2 / 3])


def test_shuffled_labels_say_nothing_of_the_step_and_follow_from_the_samples_key():
    shown = window(colour(*[0.0] * 3000), colour(*[0.0] * 3000), [0, 1, 2] * 1000)
    assert step_labels(Pix2PixConfig(), shown, 3) is shown.step
    found = step_labels(Pix2PixConfig(step_labels="shuffled"), shown, 3)
    for step in range(3):
        counts = torch.bincount(found[shown.step == step], minlength=3)
        assert counts.tolist() == pytest.approx([1000 / 3] * 3, abs=4 * math.sqrt(1000 * 2 / 9))
    half = replace(shown, key=shown.key[1500:], step=shown.step[1500:])
    assert torch.equal(step_labels(Pix2PixConfig(step_labels="shuffled"), half, 3), found[1500:])


def test_both_networks_are_taught_the_shuffled_labels():
    """A head that believes in label 1, 3 to 1: a label that the key turned costs ln 4 in place of ln 4/3."""
    config = Pix2PixConfig(step_labels="shuffled", step=1)
    shown = window(colour(*[0.0] * 4), colour(*[0.0] * 4), [1, 1, 1, 1])
    right = [int(label) == 1 for label in step_labels(config, shown, 2)]
    assert 0 < sum(right) < 4
    expected = sum(math.log(4 / 3) if is_right else math.log(4) for is_right in right) / 4
    schedule, objective = Clean(CleanConfig(num_steps=2), SIZE), Pix2PixObjective(config)
    judged = DiscriminatorPhase(Mean(), config)(shown)[1]
    made = GeneratorPhase(Brighter(), Mean(), schedule, objective, RolloutConfig()).terms(shown)
    found = [float(terms[name]) for terms, name in ((judged, "d_real_step_nll"), (made, "step_nll"))]
    assert found == pytest.approx([expected, expected])


@pytest.mark.parametrize("interval", [1, 16])
def test_r1_is_half_gamma_times_its_interval_and_logged_as_it_is(interval):
    phase = R1Phase(Mean(), Pix2PixConfig(r1_gamma=10, r1_interval=interval))
    loss, terms, _ = phase(window(colour(0.5, 0.5), colour(-0.25, 1), [0, 1]))
    assert float(terms["r1"]) == pytest.approx(4 / 72)
    assert float(loss.detach()) == pytest.approx(10 / 2 * interval * 4 / 72)
    loss.backward()  # of gamma / 2 * interval * weight^2 / 72
    assert float(phase.discriminator.weight.grad) == pytest.approx(10 / 2 * interval * 2 * 2 / 72)


def test_r1_looks_at_real_images_and_at_the_step_head_where_it_is_asked_to():
    class Square(nn.Module):
        def forward(self, images: Tensor, step: Tensor) -> DiscriminatorOutput:
            flat = images.flatten(1).sum(dim=1, keepdim=True)
            return DiscriminatorOutput(flat**2, 3 * flat)

    real = window(colour(9), colour(0.5), [0])
    # 72 values of 0.5 sum to 36: the score's gradient is 2 * 36 at each, the step head's 3
    for r1_step, expected in ((False, 72 * 72**2), (True, 72 * 72**2 + 72 * 9)):
        terms = R1Phase(Square(), Pix2PixConfig(r1_gamma=1, r1_step=r1_step))(real)[1]
        assert float(terms["r1"]) == pytest.approx(expected)


def batch_of(source: Tensor, target: Tensor, noise: Tensor, start: float = 0.0) -> dict[str, Tensor]:
    """Poses and boxes hold the number of their role."""
    count, directions = noise.shape[:2]
    poses = {"source_pose": torch.full((count, 2, *SIZE), 1.0), "target_pose": torch.full((count, 2, *SIZE), 2.0)}
    faces = {"source_face": torch.full((count, 4), 10.0), "target_face": torch.full((count, 4), 20.0)}
    keys = torch.arange(count * directions).view(count, directions)
    drawn = {"noise": noise, "noise_key": keys, "start": torch.full((count, directions), start)}
    return {"source_image": source, "target_image": target, **poses, **faces, **drawn}


def test_both_directions_swap_image_pose_and_face_and_have_their_own_draws():
    noise = torch.stack((colour(0.1, 0.2), colour(0.3, 0.4)), dim=1)
    batch = batch_of(colour(1, 2), colour(3, 4), noise)
    batch["start"] = torch.tensor([[0.0, 0.5], [0.25, 0.75]])
    both = samples_of(batch, bidirectional=True, num_starts=4)
    assert both.source[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert both.target[:, 0, 0, 0].tolist() == [3, 4, 1, 2]
    assert both.source_pose[:, 0, 0, 0].tolist() == [1, 1, 2, 2]
    assert both.target_pose[:, 0, 0, 0].tolist() == [2, 2, 1, 1]
    assert both.source_face[:, 0].tolist() == [10, 10, 20, 20]
    assert both.target_face[:, 0].tolist() == [20, 20, 10, 10]
    assert both.noise[:, 0, 0, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert both.first_step.tolist() == [0, 1, 2, 3]
    assert len(set(both.key.tolist())) == 4
    one = samples_of(batch, bidirectional=False, num_starts=4)
    assert one.source[:, 0, 0, 0].tolist() == [1, 2] and one.target_face[:, 0].tolist() == [20, 20]
    assert one.first_step.tolist() == [0, 1] and one.key.tolist() == both.key[:2].tolist()


def test_of_several_sources_the_first_changes_places_with_the_target():
    noise = torch.stack((colour(0.1), colour(0.3)), dim=1)
    batch = batch_of(torch.stack((colour(1), colour(5), colour(6)), dim=1), colour(3), noise)
    batch["source_pose"] = torch.tensor([11.0, 15, 16]).view(1, 3, 1, 1, 1).expand(1, 3, 2, *SIZE)
    both = samples_of(batch, bidirectional=True, num_starts=1)
    assert both.source[:, :, 0, 0, 0].tolist() == [[1, 5, 6], [3, 5, 6]]
    assert both.source_pose[:, :, 0, 0, 0].tolist() == [[11, 15, 16], [2, 15, 16]]
    assert both.target[:, 0, 0, 0].tolist() == [3, 1] and both.target_pose[:, 0, 0, 0].tolist() == [2, 11]
    assert both.source_face[:, 0].tolist() == [10, 20] and both.target_face[:, 0].tolist() == [20, 10]


@pytest.mark.parametrize(("window_length", "last"), [(1, 4), (2, 3), (5, 0), (None, 0)])
def test_every_start_of_a_window_is_drawn_the_last_one_too(window_length, last):
    schedule, generator = Quantize(QuantizeConfig(num_steps=5), SIZE), Brighter()
    rolling = RolloutConfig(window=window_length)
    phase = GeneratorPhase(generator, None, schedule, Pix2PixObjective(Pix2PixConfig()), rolling)
    found = set()
    for draw in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.999999):
        generator.calls.clear()
        phase(batch_of(colour(0), colour(0.5), colour(0.1)[:, None], draw))
        first, *others = [int(step) for *_, step in generator.calls]
        assert others == list(range(first + 1, first + (window_length or 5)))
        found.add(first)
    assert found == set(range(last + 1))


def grey(level: float) -> float:
    return level / 127.5 - 1


def test_a_window_aims_at_the_next_level_from_the_teachers_or_its_own_images():
    """Grey 250 in 5 steps: multiples of 255, 204, 153, 102, 51 and itself at levels 0 to 5."""
    levels = [grey(x) for x in (0, 204, 153, 204, 204, 250)]
    schedule, generator = Quantize(QuantizeConfig(num_steps=5), SIZE), Brighter()
    batch = batch_of(colour(grey(250)), colour(grey(250)), colour(0.1)[:, None], start=0.6)
    samples = samples_of(batch, bidirectional=False, num_starts=4)
    found = roll(generator, schedule, samples, RolloutConfig(window=2, degrade_source=True))
    assert found.step.tolist() == [2, 3]
    assert found.target[:, 0, 0, 0].tolist() == pytest.approx([levels[3], levels[4]])
    assert found.source_view[:, 0, 0, 0].tolist() == pytest.approx([levels[3], levels[4]])
    assert found.source[:, 0, 0, 0].tolist() == pytest.approx([grey(250)] * 2)
    sources = [float(call[0][0, 0, 0, 0]) for call in generator.calls]
    canvases = [float(call[3][0, 0, 0, 0].detach()) for call in generator.calls]
    assert sources == pytest.approx([levels[3], levels[4]])
    assert canvases == pytest.approx([levels[2], levels[2] + 0.25])
    assert found.generated[:, 0, 0, 0].tolist() == pytest.approx([levels[2] + 0.25, levels[2] + 0.5])
    assert not generator.calls[1][3].requires_grad
    assert [float(generator.calls[0][index][0, 0, 0, 0]) for index in (1, 2)] == [1, 2]
    plain = roll(generator, schedule, samples, RolloutConfig(window=2))
    assert plain.source_view[:, 0, 0, 0].tolist() == pytest.approx([grey(250)] * 2)


def test_a_step_sees_all_sources_at_its_level_and_the_first_is_to_be_redrawn():
    levels = [grey(x) for x in (0, 204, 153, 204, 204, 250)]
    schedule, generator = Quantize(QuantizeConfig(num_steps=5), SIZE), Brighter()
    sources = torch.stack((colour(grey(250)), colour(grey(51))), dim=1)
    batch = batch_of(sources, colour(grey(250)), colour(0.1)[:, None], start=0.6)
    samples = samples_of(batch, bidirectional=False, num_starts=4)
    found = roll(generator, schedule, samples, RolloutConfig(window=2, degrade_source=True))
    seen = [value for call in generator.calls for value in call[0][0, :, 0, 0, 0].tolist()]
    assert seen == pytest.approx([levels[3], grey(0), levels[4], grey(51)])  # 51 at divisors 102 and 51
    assert found.source_view[:, 0, 0, 0].tolist() == pytest.approx([levels[3], levels[4]])
    assert torch.equal(found.source, torch.cat([sources] * 2))


def test_a_window_from_step_0_begins_with_the_start_canvas():
    schedule, generator = Quantize(QuantizeConfig(num_steps=2), SIZE), Brighter()
    samples = samples_of(batch_of(colour(1), colour(1), colour(0.1)[:, None]), bidirectional=False, num_starts=1)
    roll(generator, schedule, samples, RolloutConfig())
    assert float(generator.calls[0][3][0, 0, 0, 0]) == pytest.approx(0.1)


@pytest.fixture
def engine() -> Engine:
    return Engine(tiny("unet", "none", "objective.r1_gamma=10", "objective.r1_interval=3"), ALONE)


def test_a_phase_moves_its_own_network_and_r1_the_discriminator_when_it_is_due(engine):
    found = [(phase.name, phase.interval, phase.optimizer) for phase in engine.phases]
    generator, discriminator = (engine.optimizers[name] for name in ("generator", "discriminator"))
    assert found == [("generator", 1, generator), ("discriminator", 1, discriminator), ("r1", 3, discriminator)]
    for name, network in engine.networks.items():
        assert engine.optimizers[name].param_groups[0]["params"] == list(network.parameters())
    batch, counts = synthetic_batch(engine.config, ALONE.device), []
    for _ in range(5):
        engine.train_step([batch], epoch=0)
        counts.append(float(next(iter(discriminator.state.values()))["step"]))
    assert counts == [2, 3, 4, 6, 7]  # R1 at steps 0 and 3
    assert float(next(iter(generator.state.values()))["step"]) == 5


def gradients(engine: Engine, batches: list[dict[str, Tensor]]) -> tuple[dict[str, float], list[Tensor]]:
    """The terms of a step, and the gradients of each of its phases."""
    found: list[Tensor] = []

    def note(optimizer, terms) -> None:
        found.append(torch.cat([p.grad.flatten() for p in optimizer.param_groups[0]["params"]]))

    engine.guard.step = note
    return {name: float(term) for name, term in engine.train_step(batches, epoch=0).items()}, found


def halves(batch: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    for index in range(2):
        yield {name: value[index : index + 1] for name, value in batch.items()}


def test_accumulated_micro_batches_have_the_gradients_and_terms_of_the_whole_batch(engine):
    """Adam would hide a wrong scale of the gradients."""
    batch = synthetic_batch(engine.config, ALONE.device)
    batch["noise_key"] += torch.tensor([[0], [7]])
    whole, together = gradients(engine, [batch])
    engine.step = 0
    parts, accumulated = gradients(engine, list(halves(batch)))
    assert parts == pytest.approx(whole, rel=1e-4)
    assert len(together) == len(accumulated) == 3
    for left, right in zip(accumulated, together, strict=True):
        assert F.cosine_similarity(left, right, dim=0) > 0.9999
        assert float(left.norm() / right.norm()) == pytest.approx(1, rel=1e-3)
