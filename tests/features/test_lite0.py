"""EfficientNet-Lite0 with the weights of its package."""

import pytest
import torch
from torch import nn

from features.lite0 import EfficientNetLite0, weights_path


@pytest.mark.parametrize("size", [(224, 224), (65, 48)])
def test_maps_equal_those_of_the_package(size):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = package.EfficientNet.from_name("efficientnet-lite0", image_size=size)
    theirs.load_state_dict(torch.load(weights_path(), weights_only=True))
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(
            EfficientNetLite0().maps(images), theirs.eval().extract_features(images), rtol=1e-5, atol=1e-5
        )


def test_it_knows_a_cat():
    from skimage.data import chelsea

    head = nn.Linear(1280, 1000)
    state = torch.load(weights_path(), weights_only=True)
    head.load_state_dict({name.removeprefix("_fc."): value for name, value in state.items() if "_fc." in name})
    image = torch.from_numpy(chelsea()).permute(2, 0, 1)[None, :, :, 75:375]
    with torch.no_grad():
        assert int(head(EfficientNetLite0()(image)).argmax()) in range(281, 286)  # ImageNet's house cats
