"""Turns weights of the original Pix2PixHD (a .pth file) into a safetensors file of this project."""

import argparse
from pathlib import Path

from pre2post.cohort.patients import RELEASED, UNKNOWN, digest, training_patients
from pre2post.core.errors import InputError, run_stage
from pre2post.pipeline.model_card import write_card


def main() -> None:
    arguments = _arguments()
    if arguments.new.suffix != ".safetensors" or arguments.new.is_dir():  # swapped names would lose the original
        raise InputError(
            "this cannot be written",
            file=arguments.new,
            expected="the name of a .safetensors file",
            found="a folder" if arguments.new.is_dir() else f"a name ending in {arguments.new.suffix!r}",
            hint="give the original's file first, the file to write second",
        )
    patients = training_patients(arguments.trained_on)
    from pre2post.pix2pixhd.original_weights import read_original

    original = read_original(arguments.old)
    digests = None if patients is None else sorted(map(digest, patients))
    original.save(arguments.new, digests)
    write_card(arguments.new, str(original), patients=digests, source=f"{arguments.old.name}, sha256 {original.sha256}")
    print(
        f"{arguments.old} (sha256 {original.sha256}): {original}; written to {arguments.new}, as trained on "
        + (f"{len(patients)} patients ({arguments.trained_on})" if patients else "unknown patients")
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD.pth", help="state dict as the original implementation saves it")
    parser.add_argument("new", type=Path, metavar="NEW.safetensors", help="file to write, whole or not at all")
    parser.add_argument(
        "--trained-on",
        default=RELEASED,
        metavar="WHO",
        help=f"{RELEASED}: the 668 patients behind the released weights (default); a file: splits.json "
        "(its gan_train), or a text with one case or patient a line, Breast_MRI_001 and DUKE_001 "
        f"being the Duke patient of that number; or {UNKNOWN}. The pipeline then refuses to score "
        "these patients with the weights",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
