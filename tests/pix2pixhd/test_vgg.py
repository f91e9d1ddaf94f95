"""The VGG19 perceptual loss: against a plain reference with random weights, and errors for bad files."""

import hashlib
import os

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.vgg import PerceptualLoss

SHAPES = {
    0: (64, 3),
    2: (64, 64),
    5: (128, 64),
    7: (128, 128),
    10: (256, 128),
    12: (256, 256),
    14: (256, 256),
    16: (256, 256),
    19: (512, 256),
    21: (512, 512),
    23: (512, 512),
    25: (512, 512),
    28: (512, 512),
    30: (512, 512),
}  # of torchvision, one layer more than is used


@pytest.fixture(scope="module")
def weights():
    random = torch.Generator().manual_seed(0)
    drawn = {}
    for index, (after, before) in SHAPES.items():
        drawn[f"features.{index}.weight"] = torch.randn(after, before, 3, 3, generator=random) / (4.5 * before) ** 0.5
        drawn[f"features.{index}.bias"] = torch.randn(after, generator=random) / 10
    return drawn | {"classifier.0.weight": torch.zeros(7, 5), "classifier.0.bias": torch.zeros(7)}


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    """A file in the format of the published one, which is older than torch 1.6."""
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def plain_loss(weights, fake, real):
    def convolve(x, index):
        return F.relu(F.conv2d(x, weights[f"features.{index}.weight"], weights[f"features.{index}.bias"], padding=1))

    def features(x):
        relu1_1 = convolve(x, 0)
        relu2_1 = convolve(F.max_pool2d(convolve(relu1_1, 2), 2), 5)
        relu3_1 = convolve(F.max_pool2d(convolve(relu2_1, 7), 2), 10)
        x = convolve(convolve(convolve(relu3_1, 12), 14), 16)
        relu4_1 = convolve(F.max_pool2d(x, 2), 19)
        x = convolve(convolve(convolve(relu4_1, 21), 23), 25)
        return relu1_1, relu2_1, relu3_1, relu4_1, convolve(F.max_pool2d(x, 2), 28)

    difference = [(a - b).abs().mean() for a, b in zip(features(fake), features(real), strict=True)]
    return difference[0] / 32 + difference[1] / 16 + difference[2] / 8 + difference[3] / 4 + difference[4]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_loss_and_its_gradient_equal_a_plain_reference(file, weights, channels):
    random = torch.Generator().manual_seed(1)
    fake, real = (torch.rand(2, channels, 32, 48, generator=random) * 2 - 1 for _ in range(2))
    fake.requires_grad_()
    real.requires_grad_()
    loss = PerceptualLoss.load(*file)
    (gradient,) = torch.autograd.grad(loss(fake, real), fake)

    colour = 3 // channels
    reference = plain_loss(weights, fake.repeat(1, colour, 1, 1), real.repeat(1, colour, 1, 1))
    (expected,) = torch.autograd.grad(reference, fake)
    torch.testing.assert_close(loss(fake, real), reference)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert gradient.abs().max() > 0
    assert loss(real, real) == 0

    loss(fake, real).backward()
    assert fake.grad is not None and real.grad is None
    assert not any(weight.requires_grad or weight.grad is not None for weight in loss.parameters())


def test_loading_draws_no_random_numbers(file):
    before = torch.get_rng_state()
    PerceptualLoss.load(*file)
    assert torch.equal(before, torch.get_rng_state())


def test_every_form_of_the_file_gives_the_same_weights(file, weights, tmp_path):
    torch.save(weights, tmp_path / "new.pth")
    save_file(weights, tmp_path / "vgg.safetensors")
    reference = PerceptualLoss.load(file[0], file[1][:8].upper()).state_dict()
    for path in (tmp_path / "new.pth", tmp_path / "vgg.safetensors"):
        loaded = PerceptualLoss.load(path, hashlib.sha256(path.read_bytes()).hexdigest()).state_dict()
        assert list(loaded) == list(reference)
        assert all(torch.equal(loaded[key], reference[key]) for key in reference)


def test_a_missing_file_is_named_with_its_source(tmp_path):
    with pytest.raises(InputError, match=r"none\.pth.*weights/README\.md"):
        PerceptualLoss.load(tmp_path / "none.pth", "dcbb9e9d")


@pytest.mark.parametrize("claimed", ["dcbb9e9d", ""])
def test_another_hash_is_refused_with_both(file, claimed):
    path, sha256 = file
    with pytest.raises(InputError, match=f"found: sha256 {sha256}; expected: {claimed or 'nothing'}"):
        PerceptualLoss.load(path, claimed)


def test_too_few_digits_are_refused(file):
    with pytest.raises(InputError, match="at least 8 digits"):
        PerceptualLoss.load(file[0], file[1][:7])


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def refused(path):
    with pytest.raises(InputError) as error:
        PerceptualLoss.load(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return str(error.value)


def test_pickled_code_is_refused_and_not_run(tmp_path):
    for new in (False, True):
        torch.save(
            {"features.0.weight": Code(tmp_path / "ran")}, tmp_path / "code.pth", _use_new_zipfile_serialization=new
        )
        assert "holds code" in refused(tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, new, left):
    path = tmp_path / "half.pth"
    torch.save(
        {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)},
        path,
        _use_new_zipfile_serialization=new,
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left)])
    assert "truncated or damaged" in refused(path)


def test_a_truncated_safetensors_file_is_refused(weights, tmp_path):
    path = tmp_path / "half.safetensors"
    save_file({"features.0.weight": weights["features.0.weight"]}, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "complete safetensors file" in refused(path)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "features.0.weight: nothing"),
        ([1, 2], "features.0.weight: nothing"),
        ({"features.0.weight": torch.zeros(64, 1, 3, 3)}, r"features.0.weight: (64, 1, 3, 3)"),
        ({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": 3}, "features.0.bias: nothing"),
    ],
)
def test_another_network_is_refused_by_its_first_differing_key(content, named, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    assert named in refused(tmp_path / "other.pth")


def test_batch_normalised_vgg_is_refused(weights, tmp_path):
    normalised = {
        "features.0.weight": weights["features.0.weight"],
        "features.0.bias": weights["features.0.bias"],
        "features.1.weight": torch.ones(64),
        "features.3.weight": weights["features.2.weight"],
    }
    torch.save(normalised, tmp_path / "vgg19_bn.pth")
    assert "features.2.weight: nothing" in refused(tmp_path / "vgg19_bn.pth")
