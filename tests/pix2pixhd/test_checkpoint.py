"""Weights files of generators and discriminators."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import (
    load_discriminator,
    load_generator,
    read_trained_on,
    save_discriminator,
    save_generator,
)
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import make_generator

SMALL = {"width": 4, "downs": 2, "blocks": 1}


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(**SMALL),
        Architecture(residual=True, upsampling="resize", **SMALL),
        Architecture(channels=3, **SMALL),
        Architecture("local", enhancers=2, enhancer_blocks=1, **SMALL),
    ],
)
def test_a_generator_comes_back_ready_to_run(architecture, tmp_path):
    generator = make_generator(architecture)
    save_generator(generator, tmp_path / "g.safetensors")
    image = torch.rand(2, architecture.channels, 32, 32) * 2 - 1
    loaded = load_generator(tmp_path / "g.safetensors")
    assert torch.equal(loaded(image), generator(image))
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_a_generator_saved_in_another_layout_comes_back_the_same(tmp_path):
    generator = make_generator(Architecture(**SMALL)).to(memory_format=torch.channels_last)
    save_generator(generator, tmp_path / "g.safetensors")
    for name, weight in load_generator(tmp_path / "g.safetensors").state_dict().items():
        assert torch.equal(weight, generator.state_dict()[name])


def test_a_discriminator_comes_back_and_is_not_accepted_as_a_generator(tmp_path, refused):
    discriminator = MultiscaleDiscriminator(2, width=4, layers=2, scales=3)
    save_discriminator(discriminator, tmp_path / "d.safetensors")
    image = torch.rand(1, 2, 64, 64)
    for ours, theirs in zip(load_discriminator(tmp_path / "d.safetensors")(image), discriminator(image), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    refused(
        lambda: load_generator(tmp_path / "d.safetensors"),
        "not the weights of a generator",
        "d.safetensors",
        "discriminator",
    )


def test_damaged_and_foreign_weights_are_refused(tmp_path, refused):
    refused(lambda: load_generator(tmp_path / "absent.safetensors"), "missing", "absent.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_generator(make_generator(Architecture(**SMALL)), whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    refused(lambda: load_generator(cut), "cannot be read", "cut.safetensors")
    for header in (
        None,
        {"pix2pixhd": "{}"},
        {"pix2pixhd": json.dumps({"kind": "other"})},
        {"pix2pixhd": json.dumps({"kind": "global", **SMALL})},
    ):
        save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata=header)
        refused(lambda: load_generator(tmp_path / "foreign.safetensors"), "not the weights")


def test_training_patients_come_back_and_do_not_change_the_network(tmp_path):
    generator = make_generator(Architecture(**SMALL))
    save_generator(generator, tmp_path / "silent.safetensors")
    save_generator(generator, tmp_path / "listed.safetensors", {"b" * 16, "a" * 16})
    assert read_trained_on(tmp_path / "silent.safetensors") is None
    assert read_trained_on(tmp_path / "listed.safetensors") == {"a" * 16, "b" * 16}
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    assert torch.equal(load_generator(tmp_path / "listed.safetensors")(image), generator(image))
    discriminator = MultiscaleDiscriminator(2, width=4, layers=2, scales=1)
    save_discriminator(discriminator, tmp_path / "d.safetensors", ["c" * 16])
    assert read_trained_on(tmp_path / "d.safetensors") == {"c" * 16}
    assert load_discriminator(tmp_path / "d.safetensors").architecture == discriminator.architecture


def test_the_bytes_are_the_same_every_time(tmp_path):
    """The library writes several metadata entries in random order: every second file would differ."""
    generator = make_generator(Architecture(**SMALL))
    files = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for number, file in enumerate(files):
        save_generator(generator, file, ["b", "a"] if number % 2 else ["a", "b"])
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], framework="pt") as file:
        assert list(file.metadata()) == ["pix2pixhd"]


def test_a_file_without_a_list_of_training_patients(tmp_path, refused):
    file = tmp_path / "foreign.safetensors"
    for metadata, record in ((None, None), ({"other": "x"}, None), ({"pix2pixhd": '{"kind": "global"}'}, None)):
        save_file({"x": torch.zeros(1)}, file, metadata=metadata)
        assert read_trained_on(file) is record
    for header in ("[]", "{", '{"trained_on": 3}', '{"trained_on": "abc"}', '{"trained_on": [[]]}'):
        save_file({"x": torch.zeros(1)}, file, metadata={"pix2pixhd": header})
        refused(lambda: read_trained_on(file), "foreign.safetensors", "list of training patients")
        refused(lambda: load_generator(file), "not the weights")
    refused(lambda: read_trained_on(tmp_path / "absent.safetensors"), "missing", "absent.safetensors")
    file.write_bytes(b"short")
    refused(lambda: read_trained_on(file), "cannot be read")
