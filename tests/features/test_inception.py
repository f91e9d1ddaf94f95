"""InceptionV3 against other implementations, and the layouts of the published files with random weights."""

import hashlib
import os

import h5py
import numpy as np
import pytest
import torch

from pre2post.features.inception import inception_features, load_inception
from pre2post.features.inception_network import AVERAGE, LAST, NETWORK, POOLING, SHRINK, Block, Inception

with torch.device("meta"):
    SHAPES = {key: tuple(weight.shape) for key, weight in Inception(POOLING["fid"]).state_dict().items()}
UNITS = [key.removesuffix(".conv.weight") for key in SHAPES if key.endswith(".conv.weight")]
# Of the features 0, 1, 1000 and 2047 of two images, with the weights below, by pytorch-fid 0.3.0 with its 2015-12-05
# network, torchvision 0.29.1's inception_v3, and keras.applications of Keras 3.15.1.
PUBLISHED = {
    "fid": ([3.2177, 17.4154, 3.3281, 4.1053], [3.2710, 17.4395, 3.2070, 4.2293], 5.926494, 8.521698),
    "torchvision": ([2.9536, 16.9731, 3.0361, 2.3847], [3.0611, 16.9709, 3.0445, 2.4968], 5.548763, 7.933756),
    "keras": ([3.2177, 17.4154, 3.3281, 2.9982], [3.2710, 17.4395, 3.2070, 3.0962], 5.766929, 8.234656),
}


def drawn(rng, key):
    if key.endswith("conv.weight"):
        return rng.normal(0, np.sqrt(2 / np.prod(SHAPES[key][1:])), SHAPES[key])
    return rng.uniform(0.5, 1.5, SHAPES[key]) if key.endswith((".weight", "var")) else rng.normal(0, 0.2, SHAPES[key])


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(5)
    return {key: torch.from_numpy(drawn(rng, key).astype(np.float32)) for key in SHAPES}


@pytest.fixture(scope="module")
def network(weights):
    """Return a function from the name of the pooling to the network in memory."""

    def make(pooling):
        with torch.device("meta"):
            network = Inception(POOLING[pooling])
        network.load_state_dict(weights, strict=False, assign=True)
        return network

    return make


@pytest.fixture(scope="module")
def slices():
    return np.random.default_rng(6).random((2, 80, 100)).astype(np.float32)


@pytest.fixture
def large(tmp_path):
    """A folder for files of 90 MB, which is emptied after the test."""
    yield tmp_path
    for file in tmp_path.iterdir():
        file.unlink()


def load(path, kind):
    return load_inception(path, hashlib.sha256(path.read_bytes()).hexdigest(), kind)


def test_parameters_and_keys_are_those_of_torchvision():
    # 23,834,568 without the auxiliary classifier, less the classifier's; Keras counts 21,802,784 with statistics and
    # without the norms' 17,216 factors.
    assert sum(np.prod(SHAPES[key]) for key in SHAPES if "running" not in key) == 23_834_568 - 2_049_000
    assert sum(np.prod(shape) for shape in SHAPES.values()) == 21_802_784 + 17_216
    lines = "\n".join(f"{key} {shape}" for key, shape in SHAPES.items())
    # of those of torchvision 0.29.1's inception_v3(aux_logits=False), without the classifier and counts of batches
    assert hashlib.sha256(lines.encode()).hexdigest() == (
        "ede413a9e608b43dfe69ec1fd0e622d00b390a1c70aeb75aba6cafeaad6426d2"
    )
    assert len(UNITS) == 94 and list(NETWORK)[17] == "Mixed_7c"


@pytest.mark.parametrize("pooling", POOLING)
def test_features_are_those_of_the_published_implementations(network, slices, pooling):
    features = inception_features(slices, network(pooling))
    assert features.shape == (2, 2048) and features.dtype == np.float64
    *rows, mean, sd = PUBLISHED[pooling]
    np.testing.assert_allclose(features[:, [0, 1, 1000, 2047]], rows, atol=2e-4)
    np.testing.assert_allclose([features.mean(), features.std()], [mean, sd], rtol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "kind", "pooled"),
    [
        ("fid", AVERAGE, "mean of the pixels"),
        ("fid", LAST, "maximum"),
        ("keras", AVERAGE, "mean of the pixels"),
        ("keras", LAST, "mean of the pixels"),
        ("torchvision", AVERAGE, "mean with zeros"),
        ("torchvision", LAST, "mean with zeros"),
    ],
)
def test_pools_equal_plain_loops(pooling, kind, pooled):
    images = np.random.default_rng(0).normal(size=(1, 2, 4, 5)).astype(np.float32)
    expected = np.empty_like(images)
    for y, x in np.ndindex(4, 5):
        around = images[0, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(2, -1)
        expected[0, :, y, x] = {
            "maximum": around.max(axis=1),
            "mean with zeros": around.sum(axis=1) / 9,
            "mean of the pixels": around.mean(axis=1),
        }[pooled]
    block = Block({"branch_pool": [kind]}, 2, POOLING[pooling])
    np.testing.assert_allclose(block(torch.from_numpy(images)), expected, rtol=1e-6, atol=1e-7)
    shrunk = Block({"branch_pool": [SHRINK]}, 2, POOLING[pooling])(torch.from_numpy(images))
    np.testing.assert_array_equal(
        shrunk[0, :, 0], np.stack([images[0, :, :3, x : x + 3].max(axis=(1, 2)) for x in (0, 2)], axis=1)
    )


def test_slices_are_clipped_cast_and_independent_of_the_batch(network, slices):
    features = inception_features(slices, network("fid"))
    np.testing.assert_allclose(inception_features(slices, network("fid"), batch=1), features, rtol=1e-4, atol=1e-4)
    binary = slices[:1] > 0.5
    expected = inception_features(binary.astype(np.float64), network("fid"))
    np.testing.assert_array_equal(inception_features(9 * binary.astype(np.uint8), network("fid")), expected)
    np.testing.assert_array_equal(inception_features(np.where(binary, 1.5, -0.5), network("fid")), expected)


def test_bad_slices_are_refused(network, refused):
    refused(lambda: inception_features(np.full((1, 20, 20), np.nan), network("fid")), "not finite")
    refused(lambda: inception_features(np.zeros((20, 20)), network("fid")), "slices (n, h, w)")


def check(loaded, network, slices):
    assert not loaded.training and not any(weight.requires_grad for weight in loaded.parameters())
    np.testing.assert_array_equal(inception_features(slices[:1], loaded), inception_features(slices[:1], network))


@pytest.mark.parametrize("counts", [True, False])
def test_the_fid_file_is_read(weights, network, slices, large, counts):
    """With or without the counts of batches, which torch writes since 2018, and with unused parts."""
    content = dict(weights) | {
        "AuxLogits.conv0.conv.weight": torch.zeros(128, 768, 1, 1),
        "fc.weight": torch.zeros(1008, 2048),
        "fc.bias": torch.zeros(1008),
    }
    if counts:
        content |= {f"{unit}.bn.num_batches_tracked": torch.tensor(3) for unit in UNITS}
    torch.save(content, large / "pt_inception.pth", _use_new_zipfile_serialization=counts)
    check(load(large / "pt_inception.pth", "imagenet"), network("fid"), slices)


def test_the_port_of_radimagenet_is_read(weights, network, slices, large):
    layers = [
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "pool",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
        "pool",
        "Mixed_5b",
        "Mixed_5c",
        "Mixed_5d",
        "Mixed_6a",
        "Mixed_6b",
        "Mixed_6c",
        "Mixed_6d",
        "Mixed_6e",
        "Mixed_7a",
        "Mixed_7b",
        "Mixed_7c",
    ]
    content = {
        f"backbone.{layers.index(key.split('.')[0])}.{key.split('.', 1)[1]}": weight for key, weight in weights.items()
    }
    torch.save(content, large / "InceptionV3.pt")
    check(load(large / "InceptionV3.pt", "radimagenet"), network("torchvision"), slices)


@pytest.mark.parametrize(
    ("place", "start", "factors"),
    [
        ("{0}/{0}", 94, False),
        ("{0}/{0}", 0, False),
        ("model_weights/{0}/{0}", 0, True),
        ("model_weights/inception_v3/{0}", 189, True),
    ],
)
def test_the_keras_file_is_read(weights, network, slices, large, place, start, factors):
    """Weights only or an entire model, layers numbered from any start, with or without factors of the norms."""
    with h5py.File(large / "notop.h5", "w") as file:
        for number, unit in enumerate(UNITS, start):
            arrays = {
                key.removeprefix(f"{unit}."): weight.numpy()
                for key, weight in weights.items()
                if key.startswith(f"{unit}.")
            }
            suffix = f"_{number}" if number else ""
            convolution, norm = (place.format(kind + suffix) for kind in ("conv2d", "batch_normalization"))
            file[f"{convolution}/kernel:0"] = arrays["conv.weight"].transpose(2, 3, 1, 0)
            file[f"{norm}/beta:0"] = arrays["bn.bias"]
            file[f"{norm}/moving_mean:0"] = arrays["bn.running_mean"]
            file[f"{norm}/moving_variance:0"] = arrays["bn.running_var"]
            if factors:
                file[f"{norm}/gamma:0"] = arrays["bn.weight"]
        if place.startswith("model_weights"):
            file["optimizer_weights/adam/conv2d_7/kernel:0"] = np.zeros((1, 1, 3, 7))
    expected = network("keras")
    for name, module in expected.named_modules():
        if name.endswith(".bn") and not factors:
            module.weight = torch.nn.Parameter(torch.ones_like(module.weight), requires_grad=False)
    check(load(large / "notop.h5", "radimagenet"), expected, slices)


def test_another_network_is_refused_by_its_first_differing_key(weights, tmp_path, refused):
    def refuse(content, kind, *texts):
        torch.save(content, tmp_path / "other.pth")
        refused(lambda: load(tmp_path / "other.pth", kind), "weights of another network", *texts)

    refuse({}, "imagenet", "Conv2d_1a_3x3.conv.weight: nothing", "metrics.inception_weights")
    refuse([1], "imagenet", "Conv2d_1a_3x3.conv.weight: nothing")
    refuse(
        {"Conv2d_1a_3x3.conv.weight": weights["Conv2d_1a_3x3.conv.weight"]},
        "imagenet",
        "Conv2d_1a_3x3.bn.weight: nothing",
    )
    refuse(
        {"backbone.0.conv.weight": torch.zeros(64, 3, 7, 7)},
        "radimagenet",
        "backbone.0.conv.weight: (64, 3, 7, 7)",
        "metrics.radimagenet_weights",
    )
    small = {
        key: weight[:1, :1, :1, :1].expand(weight.shape) if weight.ndim == 4 else weight
        for key, weight in weights.items()
    }
    refuse(small | {"fc.bias": torch.zeros(1000)}, "imagenet", "fc.bias: (1000,)", "2015-12-05")  # torchvision's own


def test_another_keras_network_is_refused(tmp_path, refused):
    def refuse(arrays, *texts):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array
        refused(lambda: load(tmp_path / "other.h5", "radimagenet"), "weights of another network", *texts)

    norm = {f"batch_normalization/{name}": np.zeros(32) for name in ("beta", "moving_mean", "moving_variance")}
    refuse({}, "Conv2d_1a_3x3.conv.weight: nothing")
    refuse({"conv2d/kernel": np.zeros(32)}, "Conv2d_1a_3x3.conv.weight: nothing")  # without a norm
    refuse(norm | {"conv2d/kernel": np.zeros(32)}, "Conv2d_1a_3x3.conv.weight: (32,)")
    refuse(norm | {"conv2d/kernel": np.zeros((7, 7, 3, 64))}, "Conv2d_1a_3x3.conv.weight: (64, 3, 7, 7)")
    refuse(norm | {"conv2d/bias": np.zeros(32)}, "Conv2d_1a_3x3.conv.weight: nothing")
    refuse(norm | {"conv2d/kernel": np.zeros((3, 3, 3, 32))}, "Conv2d_2a_3x3.conv.weight: nothing")
    del norm["batch_normalization/beta"]
    refuse(norm | {"conv2d/kernel": np.zeros((3, 3, 3, 32))}, "Conv2d_1a_3x3.bn.weight: nothing")


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["imagenet", "radimagenet"])
def test_pickled_code_is_refused_and_not_run(tmp_path, refused, kind):
    torch.save({"Conv2d_1a_3x3.conv.weight": Code(tmp_path / "ran")}, tmp_path / "code.pth")
    refused(lambda: load(tmp_path / "code.pth", kind), "InceptionV3 weights", "holds code")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["toy.h5", "toy.pth"])
def test_another_hash_and_a_missing_file_are_refused(tmp_path, refused, name):
    (tmp_path / name).write_bytes(b"toy")
    refused(lambda: load_inception(tmp_path / name, "6726825d", "radimagenet"), name, "not the expected", "FID_Rad")
    refused(
        lambda: load_inception(tmp_path / f"no{name}", "6726825d", "imagenet" if "pth" in name else "radimagenet"),
        f"no{name}",
        "cannot be read",
    )


@pytest.mark.parametrize("left", [0, 0.1, 0.5, 0.99])
def test_a_truncated_keras_file_is_refused(tmp_path, refused, left):
    with h5py.File(tmp_path / "half.h5", "w") as file:
        file["conv2d/conv2d/kernel:0"] = np.zeros((3, 3, 3, 32))
    content = (tmp_path / "half.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(content[: int(left * len(content))])
    refused(lambda: load(tmp_path / "half.h5", "radimagenet"), "half.h5", "cannot be read", "complete Keras .h5 file")
