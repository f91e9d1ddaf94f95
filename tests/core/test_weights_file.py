"""External weights in general; tests/pix2pixhd/test_vgg.py tests those of VGG19."""

import hashlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from repository import ROOT
from safetensors.torch import save_file

from pre2post.core.errors import InputError
from pre2post.core.weights_file import WeightsFile

TENSORS = {"first.weight": torch.arange(12.0).reshape(3, 4), "first.bias": torch.ones(3), "steps": torch.tensor(7)}


def of(path, sha256=None):
    """Return the file with the given hash, or its own."""
    sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return WeightsFile(path, sha256, "toy weights", "ask the maker")


@pytest.fixture
def saved(tmp_path):
    """saved(content, name) -> the file."""

    def save(content, name="toy.pth"):
        (save_file if name.lower().endswith("safetensors") else torch.save)(content, tmp_path / name)
        return of(tmp_path / name)

    return save


def test_the_import_does_not_import_torch():
    code = "import sys, pre2post.core.weights_file; sys.exit('torch' in sys.modules)"
    env = {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


@pytest.mark.parametrize("name", ["toy.pth", "toy.pt", "toy.safetensors", "TOY.SAFETENSORS"])
def test_every_format_gives_the_same_tensors(saved, name):
    found = saved(TENSORS, name).read()
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


def test_only_the_wanted_keys_of_safetensors_are_read(saved):
    assert saved(TENSORS, "toy.safetensors").read(["first.bias", "second.bias"]).keys() == {"first.bias"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_matching_tensors_are_copied_as_float32(saved, dtype):
    file = saved({key: weight.to(dtype) for key, weight in TENSORS.items()})
    found = file.read()
    matching = file.matching(found, {"first.weight": torch.empty(3, 4, device="meta")}, "the toy")
    assert matching.keys() == {"first.weight"}
    assert matching["first.weight"].dtype == torch.float32
    assert torch.equal(matching["first.weight"], TENSORS["first.weight"])
    assert matching["first.weight"].data_ptr() != found["first.weight"].data_ptr()


def test_every_error_names_the_expected_weights_and_a_hint(saved, tmp_path, refused):
    file = saved(TENSORS)
    refused(of(tmp_path / "none.pth", "12345678").read, "none.pth", "toy weights", "No such file", "ask the maker")
    refused(of(tmp_path, "12345678").read, "toy weights", "Is a directory", "ask the maker")
    refused(
        of(file.path, "12345678").read, "toy.pth", "not the expected toy weights", "expected: 12345678", "ask the maker"
    )
    (tmp_path / "text.pth").write_text("not weights")
    refused(of(tmp_path / "text.pth").read, "text.pth", "toy weights", "damaged", "ask the maker")
    refused(
        lambda: file.matching(file.read(), {"second.bias": torch.ones(2)}, "the toy"),
        "toy.pth",
        "found: second.bias: nothing",
        "second.bias: (2,), as in the toy",
        "ask the maker",
    )


@pytest.mark.parametrize(
    "value", [None, 7.0, [1, 2, 3], np.ones(3), torch.ones(3, device="meta"), torch.ones(3).to_sparse()]
)
def test_only_plain_tensors_match(saved, value, refused):
    refused(lambda: saved(TENSORS).matching({"bias": value}, {"bias": torch.ones(3)}, "the toy"), "bias: nothing")


def test_a_missing_scalar_is_missing(saved, refused):
    file = saved({})
    refused(lambda: file.matching(file.read(), {"steps": torch.tensor(0)}, "the toy"), "steps: nothing")


def test_a_compiled_network_is_refused_without_a_warning(tmp_path, refused):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about TorchScript
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), tmp_path / "script.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(of(tmp_path / "script.pt").read, "holds code")


@pytest.mark.parametrize("name", ["toy.pth", "toy.safetensors"])
def test_damage_raises_no_other_error(saved, name):
    file, rng, refusals = saved(TENSORS, name), np.random.default_rng(0), 0
    content = np.frombuffer(file.path.read_bytes(), np.uint8)
    for _ in range(60):
        damaged = content.copy()
        damaged[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
        file.path.write_bytes(damaged.tobytes())
        try:
            of(file.path).matching(of(file.path).read(), TENSORS, "the toy")
        except InputError:
            refusals += 1
    assert refusals > 0
