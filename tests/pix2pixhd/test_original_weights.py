"""Imported weights against plain formulas of the original networks, and errors for other files."""

import hashlib
import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from commands import PRE2POST, code_of, environment
from repository import ROOT
from torch.nn import functional as F

from pre2post.cli.main import main
from pre2post.pipeline.model_card import read_card
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import load_discriminator, load_generator, read_trained_on
from pre2post.pix2pixhd.original_weights import read_original
from pre2post.pix2pixhd.state_dict import read_state_dict
from pre2post.synthesis.import_weights import PUBLISHED_SETTINGS, import_weights

SIZE = 32  # pixels a side: enough for reflection at the lowest resolution of every network here


# The original's networks as functions of a state dict with its keys: plain formulas, no layer objects.


def convolve(weights, key, x, **how):
    return F.conv2d(x, weights[f"{key}.weight"], weights[f"{key}.bias"], **how)


def normalise(x):
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def reflect(x, by):
    return F.pad(x, (by,) * 4, mode="reflect")


def halve(x):
    """Mean of the 3 x 3 pixels around every second pixel, of those inside the image."""
    kernel = torch.ones(x.shape[1], 1, 3, 3)
    total = F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])
    return total / F.conv2d(torch.ones_like(x), kernel, stride=2, padding=1, groups=x.shape[1])


def block(weights, key, x):
    inner = F.relu(normalise(convolve(weights, f"{key}.conv_block.1", reflect(x, 1))))
    return x + normalise(convolve(weights, f"{key}.conv_block.5", reflect(inner, 1)))


def enlarge(weights, key, x):
    x = F.conv_transpose2d(x, weights[f"{key}.weight"], weights[f"{key}.bias"], stride=2, padding=1, output_padding=1)
    return F.relu(normalise(x))


def trunk(weights, x, downs, blocks):
    """Output of the global generator without its head, and the index of the next layer."""
    x = F.relu(normalise(convolve(weights, "model.1", reflect(x, 3))))
    for index in range(4, 4 + 3 * downs, 3):
        x = F.relu(normalise(convolve(weights, f"model.{index}", x, stride=2, padding=1)))
    first = 4 + 3 * downs
    for index in range(first, first + blocks):
        x = block(weights, f"model.{index}", x)
    for index in range(first + blocks, first + blocks + 3 * downs, 3):
        x = enlarge(weights, f"model.{index}", x)
    return x, first + blocks + 3 * downs


def global_output(weights, x, architecture):
    x, end = trunk(weights, x, architecture.downs, architecture.blocks)
    return torch.tanh(convolve(weights, f"model.{end + 1}", reflect(x, 3)))


def local_output(weights, x, architecture):
    """The input of enhancer n of N is the image halved N - n times; that of the global part is halved N times."""
    pyramid = [x]
    for _ in range(architecture.enhancers):
        pyramid.append(halve(pyramid[-1]))
    inside, _ = trunk(weights, pyramid[-1], architecture.downs, architecture.blocks)
    for n in range(1, architecture.enhancers + 1):
        image = pyramid[architecture.enhancers - n]
        fine = F.relu(normalise(convolve(weights, f"model{n}_1.1", reflect(image, 3))))
        inside = inside + F.relu(normalise(convolve(weights, f"model{n}_1.4", fine, stride=2, padding=1)))
        for index in range(architecture.enhancer_blocks):
            inside = block(weights, f"model{n}_2.{index}", inside)
        inside = enlarge(weights, f"model{n}_2.{architecture.enhancer_blocks}", inside)
    return torch.tanh(convolve(weights, f"model{n}_2.{architecture.enhancer_blocks + 4}", reflect(inside, 3)))


def discriminator_outputs(weights, x, layers, scales):
    """The output of every layer, finest image first; the finest has the highest scale number."""
    outputs = []
    for scale in reversed(range(scales)):
        outputs.append([])
        features = x
        for layer in range(layers + 2):
            stride = 2 if layer < layers else 1
            features = convolve(weights, f"scale{scale}_layer{layer}.0", features, stride=stride, padding=2)
            features = normalise(features) if 0 < layer <= layers else features
            features = F.leaky_relu(features, 0.2) if layer <= layers else features
            outputs[-1].append(features)
        x = halve(x)
    return outputs


# Their weights, random.


class Weights(dict):
    """A state dict under construction."""

    def __init__(self, seed):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def add(self, key, *shape, filters=None):
        """Draw weights large enough for outputs far from 0, and biases, so that a forgotten bias is noticed."""
        self[f"{key}.weight"] = torch.randn(shape, generator=self.random) / (shape[1] * shape[2] ** 2) ** 0.5
        self[f"{key}.bias"] = torch.randn(filters or shape[0], generator=self.random) / 4

    def add_block(self, key, width):
        for convolution in (1, 5):
            self.add(f"{key}.conv_block.{convolution}", width, width, 3, 3)

    def add_trunk(self, channels, width, downs, blocks):
        self.add("model.1", width, channels, 7, 7)
        for level in range(downs):
            self.add(f"model.{4 + 3 * level}", width * 2 ** (level + 1), width * 2**level, 3, 3)
        first = 4 + 3 * downs
        for index in range(blocks):
            self.add_block(f"model.{first + index}", width * 2**downs)
        for step, level in enumerate(reversed(range(downs))):
            after = width * 2**level
            self.add(f"model.{first + blocks + 3 * step}", 2 * after, after, 3, 3, filters=after)


def global_weights(architecture, seed=0):
    weights = Weights(seed)
    weights.add_trunk(architecture.channels, architecture.width, architecture.downs, architecture.blocks)
    weights.add(
        f"model.{4 + 6 * architecture.downs + architecture.blocks + 1}", architecture.channels, architecture.width, 7, 7
    )
    return dict(weights)


def local_weights(architecture, seed=0):
    weights = Weights(seed)
    weights.add_trunk(
        architecture.channels, architecture.width * 2**architecture.enhancers, architecture.downs, architecture.blocks
    )
    for n in range(1, architecture.enhancers + 1):
        width = architecture.width * 2 ** (architecture.enhancers - n)
        weights.add(f"model{n}_1.1", width, architecture.channels, 7, 7)
        weights.add(f"model{n}_1.4", 2 * width, width, 3, 3)
        for index in range(architecture.enhancer_blocks):
            weights.add_block(f"model{n}_2.{index}", 2 * width)
        weights.add(f"model{n}_2.{architecture.enhancer_blocks}", 2 * width, width, 3, 3, filters=width)
    weights.add(f"model{n}_2.{architecture.enhancer_blocks + 4}", architecture.channels, architecture.width, 7, 7)
    return dict(weights)


def discriminator_weights(channels=2, width=4, layers=3, scales=2):
    weights = Weights(1)
    for scale in range(scales):
        before, after = channels, width
        for layer in range(layers + 1):
            weights.add(f"scale{scale}_layer{layer}.0", after, before, 4, 4)
            before, after = after, 2 * after
        weights.add(f"scale{scale}_layer{layers + 1}.0", 1, before, 4, 4)
    return dict(weights)


GLOBAL = Architecture("global", channels=1, width=4, downs=2, blocks=2)
LOCAL = Architecture("local", channels=1, width=4, downs=1, blocks=2, enhancers=1, enhancer_blocks=2)
GENERATORS = [
    GLOBAL,
    Architecture("global", channels=3, width=4, downs=1, blocks=1),
    LOCAL,
    Architecture("local", channels=3, width=4, downs=1, blocks=1, enhancers=1, enhancer_blocks=1),
    Architecture("local", channels=1, width=2, downs=2, blocks=1, enhancers=2, enhancer_blocks=3),
    Architecture("local", channels=3, width=2, downs=1, blocks=3, enhancers=2, enhancer_blocks=1),
]


def images(channels):
    return torch.rand((2, channels, SIZE, 2 * SIZE), generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture
def save(tmp_path):
    """Return a function that saves content as the original saves its state dict."""

    def write(content, **how):
        torch.save(content, tmp_path / "30_net_G.pth", **how)
        return tmp_path / "30_net_G.pth"

    return write


@pytest.mark.parametrize(
    "architecture",
    GENERATORS,
    ids=lambda architecture: f"{architecture.kind}-{architecture.channels}-{architecture.enhancers}",
)
def test_a_generator_gives_the_same_images(architecture, save, tmp_path):
    make, run = {"global": (global_weights, global_output), "local": (local_weights, local_output)}[architecture.kind]
    weights, x = make(architecture), images(architecture.channels)
    original = read_original(save(weights))
    assert original.network.architecture == architecture
    original.save(tmp_path / "new.safetensors")
    expected = run(weights, x, architecture)
    assert expected.std() > 0.2, "a weak test: the images are flat"
    torch.testing.assert_close(load_generator(tmp_path / "new.safetensors")(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("channels", "layers", "scales"), [(2, 3, 1), (2, 3, 2), (6, 2, 2), (2, 1, 3), (6, 3, 3)])
@pytest.mark.parametrize("separate", [True, False])
def test_a_discriminator_gives_the_same_outputs_of_every_layer(channels, layers, scales, separate, save, tmp_path):
    weights, x = discriminator_weights(channels, 4, layers, scales), images(channels)
    original = read_original(save(weights if separate else in_sequence(weights)))
    assert original.network.architecture == {"channels": channels, "width": 4, "layers": layers, "scales": scales}
    original.save(tmp_path / "new.safetensors")
    found = load_discriminator(tmp_path / "new.safetensors")(x)
    torch.testing.assert_close(found, discriminator_outputs(weights, x, layers, scales), rtol=0, atol=1e-5)


def in_sequence(weights):
    """Rename to the keys without feature matching: a scale is one sequence with normalisations and activations."""
    renamed = {}
    for key, weight in weights.items():
        scale, layer, kind = key[len("scale")], int(key.split("layer")[1].split(".")[0]), key.split(".")[-1]
        renamed[f"layer{scale}.{(0, 2, 5, 8, 11)[layer]}.{kind}"] = weight
    return renamed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype, save):
    weights = {key: weight.to(dtype) for key, weight in global_weights(GLOBAL).items()}
    found = read_original(save(weights)).network.state_dict()
    assert all(torch.equal(found[key], weight.float()) for key, weight in weights.items())
    assert {weight.dtype for weight in found.values()} == {torch.float32}


def test_other_forms_of_the_same_weights_are_read(save, tmp_path):
    weights = global_weights(GLOBAL)
    weights["model.10.conv_block.5.weight"] = weights["model.10.conv_block.1.weight"]  # in memory and in the file too
    flat = torch.cat([weight.flatten() for weight in weights.values()])
    views = dict(zip(weights, flat.split([weight.numel() for weight in weights.values()]), strict=True))
    for content, how in [
        ({f"module.{key}": weight for key, weight in weights.items()}, {}),
        ({"epoch": 30, "state_dict": weights}, {}),
        ({key: torch.nn.Parameter(weight) for key, weight in weights.items()}, {}),
        ({key: views[key].view_as(weight) for key, weight in weights.items()}, {}),
        (weights, {"_use_new_zipfile_serialization": False}),
    ]:
        read_original(save(content, **how)).save(tmp_path / "new.safetensors")
        found = load_generator(tmp_path / "new.safetensors").state_dict()
        assert found.keys() == weights.keys() and all(torch.equal(found[key], weights[key]) for key in weights)


def batch_normalised(weights):
    return {
        "model.2.weight": torch.ones(4),
        "model.2.bias": torch.zeros(4),
        "model.2.num_batches_tracked": torch.tensor(7),
    }


def encoder(weights):
    return {key: None for key in weights if "conv_block" in key}


def label_maps(weights):
    return {"model.1.weight": torch.zeros(4, 36, 7, 7)}


# The change of the weights (None deletes a key), the key that is named, and more words of the message.
MISMATCHES = {
    "batch norm": (batch_normalised, "model.2.weight", "too many"),
    "statistics": (lambda _: {"model.2.running_mean": torch.zeros(4)}, "model.2.running_mean", "too many"),
    "encoder": (encoder, "model.10.conv_block.1.weight", "no such key"),
    "label maps": (label_maps, "model.1.weight", "shape 4 x 36 x 7 x 7", "1 or 3 channels"),
    "other output": (
        lambda _: {"model.19.weight": torch.zeros(3, 4, 7, 7)},
        "model.19.weight",
        "shape 3 x 4 x 7 x 7",
        "shape 1 x 4 x 7 x 7",
    ),
    "missing": (lambda _: {"model.7.weight": None}, "model.7.weight", "no such key", "shape 16 x 8 x 3 x 3"),
    "missing first": (lambda _: {"model.1.weight": None}, "model.1.weight", "no such key"),
    "one number": (lambda _: {"model.1.bias": torch.tensor(1.0)}, "model.1.bias", "shape ()", "shape 4"),
    "no filters": (lambda _: {"model.1.weight": torch.zeros(0, 1, 7, 7)}, "model.1.weight", "shape 0 x 1 x 7 x 7"),
    "dropout": (
        lambda weights: {
            "model.10.conv_block.5.weight": None,
            "model.10.conv_block.6.weight": weights["model.10.conv_block.5.weight"],
        },
        "model.10.conv_block.5.weight",
        "no such key",
    ),
    "NaN": (lambda _: {"model.4.bias": torch.tensor([0.0] * 7 + [torch.nan])}, "model.4.bias", "NaN"),
    "too large": (lambda _: {"model.4.bias": torch.full((8,), 1e300, dtype=torch.float64)}, "model.4.bias", "inf"),
    "integers": (lambda _: {"model.4.bias": torch.zeros(8, dtype=torch.int64)}, "model.4.bias", "torch.int64"),
    "sparse": (lambda _: {"model.4.bias": torch.zeros(8).to_sparse()}, "model.4.bias", "dense"),
    "text": (lambda _: {"model.4.bias": "eight"}, "model.4.bias", "str"),
    "a number as key": (lambda _: {4: torch.zeros(1)}, "key 4", "under text keys"),
    "half wrapped": (lambda weights: {"model.1.bias": None, "module.model.1.bias": torch.zeros(4)}, "model.1.bias"),
}


@pytest.mark.parametrize(
    ("change", "texts"), [(change, texts) for change, *texts in MISMATCHES.values()], ids=MISMATCHES
)
def test_the_first_key_that_does_not_fit_is_named(change, texts, save, refused):
    weights = global_weights(GLOBAL)
    changed = {key: weight for key, weight in (weights | change(weights)).items() if weight is not None}
    path = save(changed)
    message = refused(lambda: read_original(path), f"file {path}", "key", "found", "expected", "what to do", *texts)
    assert "\n" not in message


def test_mismatches_of_other_networks_are_named_too(save, refused):
    local, discriminator = local_weights(LOCAL), discriminator_weights()
    without = {key: weight for key, weight in local.items() if not key.startswith("model1_2.1.conv_block.5")}
    refused(lambda: read_original(save(without)), "model1_2.1.conv_block.5.weight", "no such key")
    ragged = {key: weight for key, weight in discriminator.items() if not key.startswith("scale1_layer4")}
    refused(lambda: read_original(save(ragged)), "scale1_layer4.0.weight", "no such key")
    labels = discriminator | {"scale0_layer0.0.weight": torch.zeros(4, 39, 4, 4)}
    refused(lambda: read_original(save(labels)), "scale0_layer0.0.weight", "4 x 39 x 4 x 4", "2 or 6")
    refused(lambda: read_original(save({"fc.weight": torch.zeros(3, 3)})), "scale0_layer0.0.weight", "no such key")


@pytest.mark.parametrize(
    ("content", "found"),
    [({}, "an empty dict"), ([1], "list"), (torch.zeros(3), "Tensor"), ({"state_dict": {}}, "an empty dict")],
)
def test_content_without_weights_is_refused(content, found, save, refused):
    refused(lambda: read_state_dict(save(content)), "there are no weights", f"found: {found}")


def test_files_of_another_kind_are_refused(tmp_path, save, refused):
    text, empty, folder, cut = (tmp_path / name for name in ("text.pth", "empty.pth", "folder.pth", "cut.pth"))
    text.write_text("a letter")
    empty.touch()
    folder.mkdir()
    cut.write_bytes(save(global_weights(GLOBAL)).read_bytes()[:-200])
    for path in (text, empty, cut):
        refused(lambda path=path: read_original(path), str(path), "not a file of plain tensors")
    refused(lambda: read_original(folder), str(folder), "cannot be read")
    refused(lambda: read_original(tmp_path / "none.pth"), "none.pth", "No such file")


class Intruder:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_not_run(new_format, tmp_path, save, refused):
    mark = tmp_path / "ran"
    path = save(global_weights(GLOBAL) | {"model.2.weight": Intruder(mark)}, _use_new_zipfile_serialization=new_format)
    message = refused(lambda: read_original(path), str(path), "system, which was not run")
    assert not mark.exists() and "\n" not in message and "weights_only" not in message
    torch.load(path, weights_only=False)
    assert mark.exists(), "a weak test: there was nothing to run"


def test_a_bare_pickle_is_not_run_either(tmp_path, refused):
    mark = tmp_path / "ran"
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        (tmp_path / "bare.pth").write_bytes(pickle.dumps({"model.1.weight": Intruder(mark)}, protocol))
        refused(lambda: read_original(tmp_path / "bare.pth"), "bare.pth", "not a file of plain tensors")
    assert not mark.exists()


def run(*arguments):
    command, env = (*PRE2POST, "import-weights", *map(str, arguments)), environment(**code_of(ROOT))
    return subprocess.run(command, env=env, text=True, capture_output=True, timeout=60)


def test_the_command_prints_the_network_and_the_new_file(save, tmp_path):
    old, new = save(local_weights(LOCAL)), tmp_path / "made" / "new.safetensors"
    done = run(old, new)
    parameters = sum(weight.numel() for weight in local_weights(LOCAL).values())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{old} (sha256 {hashlib.sha256(old.read_bytes()).hexdigest()}): local generator: channels "
        f"1, width 4, downs 1, blocks 2, enhancers 1, enhancer_blocks 2; {parameters:,} parameters; "
        f"written to {new}, as trained on 668 patients (duke_spie2024)\n"
    )
    assert load_generator(new)(images(1)).shape == images(1).shape
    assert len(read_trained_on(new)) == 668
    assert sorted(file.name for file in new.parent.iterdir()) == ["new.card.json", new.name]
    card = read_card(new)
    assert card.n_patients == len(read_trained_on(new))
    ingest = {name: value for name, value in PUBLISHED_SETTINGS.items() if name not in ("phases", "size")}
    assert card.params == {"slices": {"phases": ["post1"], "size": 512}, "ingest": ingest}


@pytest.mark.parametrize(
    ("origin", "patients"),
    [
        ("unknown", None),
        ("splits.json", {"duke:003", "P1"}),
        ("names.txt", {"duke:003", "phantom:Breast_MRI_003", "P 2"}),
    ],
)
def test_the_command_writes_the_training_patients(save, tmp_path, monkeypatch, capsys, origin, patients):
    monkeypatch.chdir(tmp_path)
    old = save(discriminator_weights() if origin == "names.txt" else global_weights(GLOBAL))
    Path("splits.json").write_text('{"gan_train": ["DUKE_003", "P1", "Breast_MRI_003"], "test": ["P3"]}')
    Path("names.txt").write_text("DUKE_003\n\n  P 2\nphantom:Breast_MRI_003\nduke:003\n", encoding="utf-8-sig")
    main(["import-weights", str(old), "new.safetensors", "--trained-on", origin, "--headroom", "2"])
    expected = patients and {hashlib.sha256(name.encode()).hexdigest()[:16] for name in patients}
    assert read_trained_on("new.safetensors") == expected
    assert read_card("new.safetensors").params == ({} if origin == "names.txt" else {"ingest": {"headroom": 2.0}})
    assert f"trained on {f'{len(patients)} patients ({origin})' if patients else 'unknown'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.txt", None, ("absent.txt", "duke_spie2024", "unknown")),
        ("empty.txt", b"\n \n", ("names no patient", "empty.txt")),
        ("odd.json", b'{"test": []}', ("not splits", "gan_train")),
        ("odd.json", b"[]", ("not splits",)),
        ("odd.json", b"{", ("not JSON",)),
        ("binary.txt", b"\xff\x00\xfe", ("not text",)),
    ],
)
def test_a_list_of_training_patients_that_cannot_be_read_is_refused(save, tmp_path, refused, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    new = tmp_path / "new.safetensors"
    refused(lambda: import_weights(save(global_weights(GLOBAL)), new, str(tmp_path / name)), *words)
    assert not new.exists()


def test_the_command_fails_in_one_line_and_keeps_an_earlier_file(save, tmp_path):
    old = save(global_weights(GLOBAL) | {"model.2.weight": Intruder(tmp_path / "ran")})
    new = tmp_path / "new.safetensors"
    new.write_text("earlier weights")
    done = run(old, new)
    assert done.returncode == 1 and not (tmp_path / "ran").exists() and new.read_text() == "earlier weights"
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 30}, ("size 30", "multiple of 4")),
        ({"phases": ["pre"]}, ("phases.0 'pre'",)),
        ({"low_percentile": 100.0}, ("low_percentile must be below",)),
        ({"size": 36}, ("slices.size 36", "multiple of 8")),
    ],
)
def test_impossible_settings_are_refused(save, tmp_path, refused, settings, words):
    new = tmp_path / "new.safetensors"
    deep = global_weights(Architecture(width=4, downs=3, blocks=1))
    refused(lambda: import_weights(save(deep), new, settings=settings), *words)
    assert not new.exists()


def test_targets_that_cannot_be_written_are_refused(save, tmp_path, refused):
    old = save(global_weights(GLOBAL))
    (tmp_path / "folder.safetensors").mkdir()
    for new, text in [(tmp_path / "folder.safetensors", "a folder"), (old, "'.pth'")]:
        refused(lambda new=new: import_weights(old, new), str(new), text)
    done = run(old, old / "new.safetensors")
    assert done.returncode == 1 and done.stderr.startswith(f"error: file {old}: this file or folder cannot be used")
