"""LPIPS against torchmetrics' code, with AlexNet's layers instead of torchvision."""

import hashlib
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from pre2post.features import lpips as module
from pre2post.features.lpips import load_lpips, lpips

# torchvision's alexnet().features: channels before and after, side, stride and padding of each convolution
CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2),
    3: (64, 192, 5, 1, 2),
    6: (192, 384, 3, 1, 1),
    8: (384, 256, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
POOLS = (2, 5, 12)


@pytest.fixture(scope="module")
def layers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *(
                nn.Conv2d(*CONVOLUTIONS[place])
                if place in CONVOLUTIONS
                else nn.MaxPool2d(3, 2)
                if place in POOLS
                else nn.ReLU(inplace=True)
                for place in range(13)
            )
        )


@pytest.fixture(scope="module")
def file(layers, tmp_path_factory):
    """A file like the published one, with the unused classifier."""
    path = tmp_path_factory.mktemp("lpips") / "alexnet-owt.pth"
    content = {f"features.{key}": weight for key, weight in layers.state_dict().items()}
    torch.save(content | {"classifier.1.weight": torch.zeros(4096, 9216).expand(2, -1, -1)}, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def network(file):
    return load_lpips(*file)


def pairs(n, height, width, seed=0):
    rng = np.random.default_rng(seed)
    real = rng.uniform(-1, 1, (n, height, width)).astype(np.float32)
    real[0, : height // 2] = -1  # air
    return real, np.clip(real + rng.normal(0, 0.4, real.shape), -1, 1).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(31, 40), (64, 64), (100, 75)])
def test_lpips_equals_torchmetrics(layers, network, monkeypatch, height, width):
    reference = import_module("torchmetrics.functional.image.lpips")  # here, because it takes seconds
    monkeypatch.setattr(reference, "_get_tv_model_features", lambda name, pretrained: layers)
    images = pairs(3, height, width)
    colour = [torch.from_numpy(image)[:, None].expand(-1, 3, -1, -1) for image in images]
    expected = reference._LPIPS(net="alex")(*colour).flatten()
    found = lpips(*images, network)
    assert found.shape == (3,) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert found.min() > 1e-3


def test_lpips_is_0_for_equal_images_and_grows_with_noise(network):
    real, _ = pairs(2, 64, 64)
    noise = np.random.default_rng(1).normal(size=real.shape)
    found = np.array([lpips(real, real + sd * noise, network) for sd in (0, 0.05, 0.1, 0.2, 0.4)])
    assert (found[0] == 0).all() and (np.diff(found, axis=0) > 0).all()


def test_pairs_do_not_depend_on_each_other_or_their_dtype(network):
    real, synthetic = pairs(5, 40, 40)
    together = lpips(real, synthetic, network)
    np.testing.assert_allclose(lpips(real, synthetic, network, batch=2), together, rtol=1e-5)
    signs = np.sign(real).astype(np.int8), np.sign(synthetic).astype(np.int8)
    np.testing.assert_array_equal(lpips(*signs, network), lpips(*(s.astype(np.float64) for s in signs), network))


def test_images_that_are_not_pairs_are_refused(network, refused):
    real, synthetic = pairs(2, 40, 40)
    refused(lambda: lpips(real, synthetic[:1], network), "not pairs", "(2, 40, 40) and (1, 40, 40)")
    refused(lambda: lpips(real[0], synthetic[0], network), "(n, h, w)")
    synthetic[1, 3, 3] = np.inf
    refused(lambda: lpips(real, synthetic, network), "not finite")


def test_31_pixels_are_the_smallest_side_of_the_network(network, refused):
    refused(lambda: lpips(*pairs(1, 30, 64), network), "31 x 31")
    with torch.inference_mode(), pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, 30, 64), torch.zeros(1, 1, 30, 64))
    assert np.isfinite(lpips(*pairs(1, 31, 31), network)).all()


def test_the_network_is_frozen(network):
    assert not network.training and not any(weight.requires_grad for weight in network.parameters())


def test_another_file_is_refused(file, tmp_path, refused):
    refused(
        lambda: load_lpips(tmp_path / "none.pth", file[1]),
        "none.pth",
        "AlexNet weights of LPIPS",
        "metrics.lpips_weights",
    )
    refused(lambda: load_lpips(file[0], "7be5be79"), "not the expected AlexNet weights")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.pth")
    sha256 = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()
    refused(
        lambda: load_lpips(tmp_path / "vgg.pth", sha256),
        "features.0.weight: (64, 3, 3, 3)",
        "(64, 3, 11, 11)",
        "torchvision's AlexNet",
    )


def test_other_channel_weights_are_refused(file, monkeypatch, refused):
    monkeypatch.setattr(module, "HEADS_SHA256", "00000000")
    refused(lambda: load_lpips(*file), "alex.pth", "not the expected channel weights", "make setup")
