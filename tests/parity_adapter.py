"""Maps the calls of a parity checker onto this project's parts; holds no arithmetic of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from config.load import load_config
from config.schema import Config
from data.pairs import output_name
from data.pose import draw_skeleton, face_box, joint_heatmaps, scale_joints, to_image_frame
from losses.adversarial import discriminator_loss, generator_loss
from losses.attention import attention_reconstruction as attention_loss
from losses.face import face_crop
from losses.families import build_objective
from metrics.distribution import frechet_distance
from metrics.paired import SsimWindow, l1, mae, pad_to_canvas, psnr, ssim
from models.discriminators import ResidualConfig, StyleGAN2Config
from models.dptn import DPTNConfig
from models.families import build_discriminator, build_generator, build_schedule
from models.layers import dptn_step_image, nted_step_image
from models.nted import NTEDConfig
from models.originals import from_published
from models.schedules import QuantizeConfig, ResizeConfig
from trainers.phases import DiscriminatorPhase, GeneratorPhase, R1Phase
from trainers.window import Samples, roll

__all__ = ["face_crop", "frechet_distance", "output_name"]

NTED_STEPS = 20
GAUSSIANS = {"ssim_256": 1.5, "ssim_256_sigma1.2": 1.2}


def nted_config(hyper: dict) -> NTEDConfig:
    levels = sorted(int(level) for level in hyper["num_labels"])
    by_level = {
        name: [hyper[name][str(level)] for level in levels] for name in ("channels", "num_labels", "match_kernels")
    }
    return NTEDConfig(
        channels=by_level["channels"],
        num_textures=[number or 0 for number in by_level["num_labels"]],
        kernel_sizes=[size or 3 for size in by_level["match_kernels"]],
    )


def dptn_config(hyper: dict, step: bool) -> DPTNConfig:
    names = ("ngf", "img_f", "nhead", "num_CABs", "num_TTBs", "num_blocks")
    num_levels = hyper["layers_g" if "layers_g" in hyper else "layers"]
    return DPTNConfig(**{name: hyper[name] for name in names}, num_levels=num_levels, spectral_norm=step)


def build(system: str, state: dict, hyper: dict) -> nn.Module:
    step = system.endswith("-step")
    if system.startswith("nted"):
        network = build_generator(nted_config(hyper), hyper["semantic_dim"], NTED_STEPS if step else 1)
    else:
        network = build_generator(dptn_config(hyper, step), 41 if step else 18, hyper["step_size"] if step else 1)
    network.load_state_dict(from_published(system, "generator", state).state)
    return network.eval()


def generator(system: str, state: dict, hyper: dict):
    network = build(system, state, hyper)

    def call(**arguments):
        output = network(**arguments, reconstruct=system.startswith("dptn"))
        return {"target": output.target_image, "source": output.source_image, "output": output}

    return call


def attention_reconstruction(output: dict, source: Tensor, target: Tensor) -> Tensor:
    return attention_loss(output["output"].textures, source, target)


def build_d(system: str, state: dict, hyper: dict, image_size: tuple[int, int]) -> nn.Module:
    num_steps = hyper.get("num_steps") or 1
    if system.startswith("nted"):
        levels = sorted(int(level) for level in hyper["channels"] if int(level) <= hyper["size"])
        config = StyleGAN2Config(channels=[hyper["channels"][str(level)] for level in levels])
    else:
        config = ResidualConfig(ndf=hyper["ndf"], img_f=hyper["img_f"], num_levels=hyper["layers"])
    network = build_discriminator(config, image_size, num_steps)
    network.load_state_dict(from_published(system, "discriminator", state).state)
    return network.eval()


def discriminator(system: str, state: dict, hyper: dict):
    def call(images: Tensor) -> dict:
        verdict = build_d(system, state, hyper, tuple(images.shape[2:]))(images, torch.zeros(len(images)).long())
        return {"score": verdict.score.detach(), "step_log_probs": verdict.step_log_probs}

    def detached(images: Tensor) -> dict:
        with torch.no_grad():
            return call(images)

    return detached


def degrade(kind: str, images: Tensor, levels: Tensor, num_steps: int, min_size, spacing) -> Tensor:
    config = (
        QuantizeConfig(num_steps=num_steps)
        if kind == "quantize"
        else ResizeConfig(num_steps=num_steps, min_size=min_size, spacing=spacing)
    )
    return build_schedule(config, tuple(images.shape[2:])).degrade(images, levels)


def step_image(form: str, t: Tensor, size: tuple[int, int]) -> Tensor:
    return {"nted": nted_step_image, "dptn": dptn_step_image}[form](t, size)


def gan_loss(mode: str, logits: Tensor) -> dict:
    return {
        "d_real": discriminator_loss(mode, logits, real=True),
        "d_fake": discriminator_loss(mode, logits, real=False),
        "g": generator_loss(mode, logits),
    }


def training_losses(
    system, generator_state, discriminator_state, vgg_state, hyper, d_hyper, batch, start, noise
) -> dict:
    config: Config = load_config(f"config/{system.removesuffix('-step')}_256.yaml", ["objective.perceptual_net=random"])
    size = tuple(batch["source_image"].shape[2:])
    objective = build_objective(config.objective)
    objective.net.load_torchvision(vgg_state)
    network, critic = build(system, generator_state, hyper), build_d(system, discriminator_state, d_hyper, size)
    schedule = build_schedule(config.schedule, size)
    both = config.rollout.bidirectional
    window = roll(
        network,
        schedule,
        samples(batch, both, noise, start),
        config.rollout,
        objective.wants_source and network.reconstructs,
    )
    terms = GeneratorPhase(network, critic, schedule, objective, config.rollout).terms(window)
    torch.stack(list(terms.values())).sum().backward()
    d_loss, d_terms, _ = DiscriminatorPhase(critic, config.objective)(window.images_only())
    d_loss.backward()
    result = {"g_grad_norm": grad_norm(network), "d_grad_norm": grad_norm(critic)}
    with torch.no_grad():
        scores = {
            kind: critic(images, window.step).score.mean()
            for kind, images in (("real", window.target), ("fake", window.generated))
        }
    g = {name: float(value.detach()) for name, value in terms.items()}
    d = {name: float(value) for name, value in d_terms.items()}
    if system == "nted-step":
        result["generator"] = {
            **{name: g[name] for name in ("gan", "perceptual", "face")},
            "step": g["step_nll"],
            "attn_rec": g["attention"],
            "total_loss": sum(g.values()),
        }
        result["discriminator"] = {
            "d": float(d_loss.detach()),
            "real_score": scores["real"],
            "fake_score": scores["fake"],
            "real_step": d["d_real_step_nll"],
            "fake_step": d["d_fake_step_nll"],
            "r1": R1Phase(critic, config.objective)(window.images_only())[1]["r1"],
        }
        return result
    result["generator"] = {
        "L1_target": g["l1"],
        "GAN_target": g["gan"],
        "VGG_target": g["content"] + g["style"],
        "Face_target": g["face"],
        "Step_loss": g["step_nll"],
        "L1_source": g["l1_source"],
        "VGG_source": g["content_source"] + g["style_source"],
        "Face_source": g["face_source"],
    }
    result["discriminator"] = {
        "Real_loss": d["d_real"],
        "Real_step": d["d_real_step_nll"],
        "Fake_loss": d["d_fake"],
        "Fake_step": d["d_fake_step_nll"],
    }
    return result


def samples(batch: dict, both: bool, noise: Tensor, start: Tensor) -> Samples:
    names = ("source_image", "target_image", "source_pose", "target_pose", "source_face", "target_face")
    roles = [batch[name] for name in names]
    if both:
        roles = [torch.cat((roles[index], roles[index ^ 1])) for index in range(len(roles))]
    return Samples(*roles, noise, start, torch.zeros(len(start)))


def skeleton(keypoints: np.ndarray, size, scale_size, crop) -> tuple[np.ndarray, np.ndarray]:
    keypoints[(keypoints == -1).any(axis=1)] = np.nan
    joints = to_image_frame(keypoints, size, scale_size, crop)
    return draw_skeleton(joints, size) / 255, face_box(joints)


def heatmaps(keypoints_yx: np.ndarray, size, old_size, sigma: float) -> np.ndarray:
    keypoints_yx[(keypoints_yx == -1).any(axis=1)] = np.nan
    return joint_heatmaps(scale_joints(keypoints_yx[:, ::-1], old_size, size), size, sigma)


def image_metrics(prediction: np.ndarray, target: np.ndarray, pad_to=None) -> dict[str, float]:
    if pad_to:
        prediction, target = pad_to_canvas(prediction, pad_to), pad_to_canvas(target, pad_to)
    gaussian = {name: SsimWindow(sigma=s, sample_covariance=False, data_range=None) for name, s in GAUSSIANS.items()}
    return {
        "psnr": psnr(prediction, target),
        "l1": l1(prediction, target),
        "mae": mae(prediction, target),
        "ssim": ssim(prediction, target, SsimWindow(51)),
        **{name: ssim(prediction, target, window) for name, window in gaussian.items()},
    }


def grad_norm(network: nn.Module) -> float:
    return float(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm())
