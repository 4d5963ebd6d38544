"""Weights that are missing, damaged, hostile or of another network; and the real loading path on generated weights."""

import pickle

import numpy as np
import pytest
import torch
from torchvision.models import alexnet, inception_v3

from metrics import networks
from metrics.networks import (
    InceptionImageNet,
    InceptionTensorFlow,
    Lpips,
    MissingWeights,
    ensure_weights,
    feature_network,
    weights_path,
)
from metrics.protocols import PROTOCOLS
from metrics.scorer import load_scorer


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory):
    """A cache with generated weights under the published file names."""
    home = tmp_path_factory.mktemp("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        torch.manual_seed(0)
        for name, state in {
            "lpips_alex": alexnet_state(),
            "inception_imagenet": inception_v3(weights=None, init_weights=False).state_dict(),
            "inception_tensorflow": tensorflow_state(patch),
        }.items():
            path = weights_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, path)
        yield home


def alexnet_state():
    """AlexNet's weights; its 230 MB of classifier, which LPIPS does not use, are one number seen many times."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in alexnet(weights=None).state_dict().items()}
    return {
        key: torch.randn(shape) * 0.05 if key.startswith("features") else torch.zeros(1).expand(shape)
        for key, shape in shapes.items()
    }


def tensorflow_state(patch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with patch.context() as inner:
        inner.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        inner.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        return module.FeatureExtractorInceptionV3("random", ["2048"]).state_dict()


def images(count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 64, 48), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def test_lpips_of_an_image_with_itself_is_zero_and_of_others_is_not(torch_home):
    net, batch = Lpips(), images()
    assert net(batch, batch).tolist() == [0, 0]
    assert (net(batch, batch.flip(0)) > 0).all()


@pytest.mark.filterwarnings("ignore:.*weight")
def test_lpips_takes_signed_inputs(torch_home):
    import lpips

    theirs, batch = lpips.LPIPS(net="alex", verbose=False), images() / 127.5 - 1
    expected = theirs(batch, batch.flip(0)).flatten()
    torch.testing.assert_close(Lpips()(images(), images().flip(0)), expected)


def test_imagenet_inception_resizes_plainly_and_applies_the_affine_to_unit_pixels(torch_home):
    batch = images(1)
    with torch.inference_mode():
        ours = InceptionImageNet()(batch)
        reference = inception_v3(weights=None, init_weights=False, transform_input=False)
        reference.load_state_dict(torch.load(weights_path("inception_imagenet")))
        reference.fc = torch.nn.Identity()
        resized = torch.nn.functional.interpolate(batch / 255, (299, 299), mode="bilinear")
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        affine = resized * (deviation / 0.5).view(3, 1, 1) + ((mean - 0.5) / 0.5).view(3, 1, 1)
        expected = reference.eval()(affine)
    assert ours.shape == (1, 2048)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


def test_tensorflow_inception_gives_pool_features(torch_home):
    with torch.inference_mode():
        features = InceptionTensorFlow()(images(1))
    assert features.shape == (1, 2048) and bool(torch.isfinite(features).all())


@pytest.mark.parametrize(("name", "width"), [("alexnet", 256), ("inception_imagenet", 2048), ("lite0", 1280)])
def test_sets_and_persons_may_be_scored_by_any_network_by_name(torch_home, name, width):
    protocol = PROTOCOLS["offline"].model_copy(update={"embedding": name})
    scorer = load_scorer(protocol, torch.device("cpu"))
    assert scorer.identity.frechet == f"fd_{name}" and scorer.identity.embed(images(5)).shape == (5, width)


def test_alexnet_features_are_of_normalised_images(torch_home):
    pixels = images()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (pixels / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    net = alexnet(weights=None)
    net.load_state_dict(torch.load(weights_path("alexnet"), weights_only=True))
    with torch.no_grad():
        expected = net.features[:12](normal).mean(dim=(2, 3))
        torch.testing.assert_close(feature_network("alexnet")(pixels), expected, rtol=1e-4, atol=1e-5)


def test_a_refused_download_says_which_file_from_where_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(networks.urllib.request, "urlopen", refuse)
    with pytest.raises(MissingWeights) as caught:
        ensure_weights("lpips_alex")
    for part in ("alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/", str(tmp_path), "no route"):
        assert part in str(caught.value)
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def refuse(*_, **__):
    raise OSError("no route")


def test_a_download_with_another_checksum_is_thrown_away(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(networks, "_copy", lambda url, file: "0" * 64)
    with pytest.raises(MissingWeights, match="checksum"):
        ensure_weights("lpips_alex")
    assert not weights_path("lpips_alex").exists()


def test_a_download_arrives_whole_under_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(networks, "_copy", lambda url, file: (file.write(b"weights"), "7be5be79" + "0" * 56)[1])
    assert ensure_weights("lpips_alex").read_bytes() == b"weights"


class Code:
    """What unpickles to a call."""

    def __reduce__(self):
        return (np.zeros, (1,))


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps({"weight": Code()}, protocol=2)])
@pytest.mark.parametrize("name", ["inception_imagenet", "inception_tensorflow", "lpips_alex"])
def test_a_damaged_or_hostile_file_is_named_and_not_run(tmp_path, monkeypatch, name, content):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = weights_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    network = {
        "inception_imagenet": InceptionImageNet,
        "inception_tensorflow": InceptionTensorFlow,
        "lpips_alex": Lpips,
    }
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        network[name]()


def test_weights_of_another_network_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = weights_path("inception_imagenet")
    path.parent.mkdir(parents=True)
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="another network"):
        InceptionImageNet()
