"""Turns weights of the original Pix2PixHD (a .pth file) into a safetensors file of this project."""

import argparse
from pathlib import Path

from pipeline.errors import InputError, run_stage


def main() -> None:
    arguments = _arguments()
    if arguments.new.suffix != ".safetensors" or arguments.new.is_dir():  # swapped names would lose the original
        raise InputError("this cannot be written", file=arguments.new, expected="the name of a .safetensors file",
                         found="a folder" if arguments.new.is_dir() else f"a name ending in {arguments.new.suffix!r}",
                         todo="give the original's file first, the file to write second")
    from pix2pixhd.original_weights import read_original

    original = read_original(arguments.old)
    original.save(arguments.new)
    print(f"{arguments.old} (sha256 {original.sha256}): {original}; written to {arguments.new}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD.pth", help="state dict as the original implementation saves it")
    parser.add_argument("new", type=Path, metavar="NEW.safetensors", help="file to write, whole or not at all")
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
