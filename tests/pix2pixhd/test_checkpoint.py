"""Generators and discriminators on disk."""

import json

import pytest
import torch
from safetensors.torch import save_file

import pix2pixhd
from pix2pixhd.architecture import Architecture
from pix2pixhd.checkpoint import save_discriminator, save_generator
from pix2pixhd.discriminator import MultiscaleDiscriminator
from pix2pixhd.generator import make_generator

SMALL = {"width": 4, "downs": 2, "blocks": 1}


@pytest.mark.parametrize("plan", [
    Architecture(**SMALL), Architecture(residual=True, upsampling="resize", **SMALL), Architecture(channels=3, **SMALL),
    Architecture("local", enhancers=2, enhancer_blocks=1, **SMALL)])
def test_a_generator_comes_back_ready_to_run(plan, tmp_path):
    generator = make_generator(plan)
    save_generator(generator, tmp_path / "g.safetensors")
    image = torch.rand(2, plan.channels, 32, 32) * 2 - 1
    loaded = pix2pixhd.load_generator(tmp_path / "g.safetensors")
    assert torch.equal(loaded(image), generator(image))
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_a_generator_saved_in_another_layout_comes_back_the_same(tmp_path):
    generator = make_generator(Architecture(**SMALL)).to(memory_format=torch.channels_last)
    save_generator(generator, tmp_path / "g.safetensors")
    for name, weight in pix2pixhd.load_generator(tmp_path / "g.safetensors").state_dict().items():
        assert torch.equal(weight, generator.state_dict()[name])


def test_a_discriminator_comes_back_and_is_not_taken_for_a_generator(tmp_path, refused):
    discriminator = MultiscaleDiscriminator(2, width=4, layers=2, scales=3)
    save_discriminator(discriminator, tmp_path / "d.safetensors")
    image = torch.rand(1, 2, 64, 64)
    for ours, theirs in zip(pix2pixhd.load_discriminator(tmp_path / "d.safetensors")(image), discriminator(image),
                            strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    refused(lambda: pix2pixhd.load_generator(tmp_path / "d.safetensors"), "not the weights of a generator",
            "d.safetensors", "discriminator")


def test_damaged_and_foreign_weights_are_refused(tmp_path, refused):
    refused(lambda: pix2pixhd.load_generator(tmp_path / "absent.safetensors"), "missing", "absent.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_generator(make_generator(Architecture(**SMALL)), whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    refused(lambda: pix2pixhd.load_generator(cut), "cannot be read", "cut.safetensors")
    for header in (None, {"pix2pixhd": "{}"}, {"pix2pixhd": json.dumps({"kind": "other"})},
                   {"pix2pixhd": json.dumps({"kind": "global", **SMALL})}):
        save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata=header)
        refused(lambda: pix2pixhd.load_generator(tmp_path / "foreign.safetensors"), "not the weights")
