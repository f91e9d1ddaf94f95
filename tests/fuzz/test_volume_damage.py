"""Volume files and masks that are truncated, corrupted, of another kind, misplaced, or decompress to gigabytes."""

import gzip
import struct
import subprocess
import sys
from itertools import product

import nibabel
import numpy as np
import pytest
from repository import ROOT

CORPUS = {}  # name: (layout, damage, whether the case is still used; None: either)
ROLES = ("pre", "post1", "mask")
FIELDS = {  # of a NIfTI-1 header: offset, format in struct, values
    "header size": (0, "i", (0, 347, 540, -1)),
    "dimensions": (40, "h", (0, 2, 4, 7, -1, 99)),
    "columns": (42, "h", (0, 1, -5, 19, 21, 32767)),
    "slices": (46, "h", (0, 1, -1, 5, 7, 32767)),
    "volumes": (48, "h", (0, 2, 32767)),
    "type": (70, "h", (0, 1, 2, 8, 16, 32, 64, 128, 1792, 9999)),
    "bits": (72, "h", (0, 1, 64, -16)),
    "qfac": (76, "f", (0, 7, np.nan)),
    "width": (80, "f", (0, -1, 1e9, 1e-9, np.nan, np.inf)),
    "thickness": (88, "f", (0, -1, 1e9, 100, np.nan)),
    "offset": (108, "f", (0, 1, 347, 353, -1, 1e9, 1e30, np.nan, np.inf)),
    "slope": (112, "f", (0, -1, 1e30, np.nan, np.inf)),
    "intercept": (116, "f", (-5, 1e30, np.nan, np.inf)),
    "qform": (252, "h", (0, -1, 99)),
    "sform": (254, "h", (1, -1)),
    "b": (256, "f", (2, -1e30, np.nan, np.inf)),
    "x": (268, "f", (1e30, np.nan, np.inf, 500)),
    "magic": (344, "I", (0, 0xFFFFFFFF)),
}
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
KINDS = {  # new array from the old one (x, y, z), and the roles in which the change is harmless
    "2D": (lambda array: array[..., 0], ""),
    "4D": (lambda array: np.stack([array, array], -1), ""),
    "1D": (lambda array: array[0, 0], ""),
    "4D of one": (lambda array: array[..., None], "pre post1 mask"),
    "vectors": (lambda array: np.stack([array] * 3, -1)[..., None, :], ""),
    "RGB": (lambda array: np.zeros(array.shape, RGB), ""),
    "complex": (lambda array: array.astype(np.complex64), ""),
    "float64": (lambda array: array.astype(np.float64), "pre post1 mask"),
    "all 0": (lambda array: array * 0, "post1"),
    "all 7": (lambda array: array * 0 + 7, "post1"),
    "one slice": (lambda array: array[..., :1], ""),
    "one voxel": (lambda array: array[:1, :1, :1], ""),
    "turned": (lambda array: array.transpose(2, 1, 0), ""),
    "negative": (lambda array: -array.astype(int), "pre post1"),
    "too large": (lambda array: array.astype(np.float64) * 1e300, "mask"),
    "NaN": (lambda array: spoilt(array, np.nan), "mask"),
    "infinite": (lambda array: spoilt(array, -np.inf), "mask"),
    "huge": (lambda array: spoilt(array, 3e38), "pre post1 mask"),
}
MASKS = {
    "label 2": (lambda array: array * 2, True),
    "label 255": (lambda array: array * 255, True),
    "halves": (lambda array: array * 0.5, True),
    "inside out": (lambda array: 1 - array, False),
    "an image": (lambda array: 300 + array.astype(np.int16), False),
    "tumour cut off": (lambda array: array[:5], False),
}
AFFINES = {
    "zeros": np.zeros((3, 4)),
    "NaN": np.full((3, 4), np.nan),
    "infinite": np.full((3, 4), np.inf),
    "singular": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]],
    "huge": np.eye(3, 4) * 1e20,
    "tiny": np.eye(3, 4) * 1e-20,
    "sheared": [[1, 0.9, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
    "far away": [[-0.75, 0, 0, 900], [0, -0.75, 0, 0], [0, 0, 2.5, 0]],
}
CONTENTS = {
    "empty": b"",
    "text": b"a letter",
    "zeros": bytes(2000),
    "noise": np.random.default_rng(0).bytes(2000),
    "DICOM": bytes(128) + b"DICM" + bytes(100),
    "gzip of nothing": gzip.compress(b""),
    "gzip of text": gzip.compress(b"text" * 200),
    "two gzip members": gzip.compress(b"a") * 2,
    "zip": b"PK\3\4",
    "half a gzip header": b"\x1f\x8b\x08",
}


def spoilt(array, value):
    array = array.astype(np.float32)
    array[3, 4, 2] = value
    return array


def content_of(file) -> bytes:
    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == ".gz" else content


def write(place, file, content: bytes) -> None:
    place.write(file, gzip.compress(content, 1) if file.suffix == ".gz" else content)


def add(name, used, damage, layout="own") -> None:
    assert name not in CORPUS
    CORPUS[name] = layout, damage, used


def in_header(role, at, kind, value):
    def damage(place):
        content = bytearray(content_of(place.image(role)))
        struct.pack_into("<" + kind, content, at, value)
        write(place, place.image(role), bytes(content))

    return damage


def of_array(role, change):
    def damage(place):
        old = nibabel.Nifti1Image.from_bytes(content_of(place.image(role)))
        array = change(np.asarray(old.dataobj))
        made = nibabel.Nifti1Image(array, old.affine, dtype=array.dtype)
        write(place, place.image(role), made.to_bytes())

    return damage


def of_affine(role, affine):
    def damage(place):
        content = bytearray(content_of(place.image(role)))
        struct.pack_into("<2h", content, 252, 0, 1)  # geometry by the affine, not by a quaternion
        struct.pack_into("<12f", content, 280, *np.ravel(affine))
        write(place, place.image(role), bytes(content))

    return damage


def as_bytes(role, change):
    return lambda place: place.write(place.image(role), change(place.image(role).read_bytes()))


def flipped(content: bytes, seed: int) -> bytes:
    array, rng = np.frombuffer(content, np.uint8).copy(), np.random.default_rng(seed)
    reach = 400 if seed % 2 else array.size  # the header, or anywhere
    array[rng.integers(0, min(array.size, reach), 2)] ^= rng.integers(1, 256, 2).astype(np.uint8)
    return array.tobytes()


for number, (name, (at, kind, values)) in enumerate(FIELDS.items()):
    for step, value in enumerate(values):
        role, layout = ROLES[(number + step) % 3], ("own", "mama_mia")[step % 2]
        add(f"{role} {name} {value:g}", None, in_header(role, at, kind, value), layout)
for role, (name, (change, harmless)) in product(ROLES, KINDS.items()):
    if (role, name) != ("mask", "negative"):
        add(f"{role} {name}", role in harmless.split(), of_array(role, change))
for name, (change, used) in MASKS.items():
    add(f"mask of {name}", used, of_array("mask", change), "mama_mia")
for role, (name, affine) in product(ROLES, AFFINES.items()):
    add(f"{role} affine {name}", False, of_affine(role, affine))
for role, (name, content) in product(ROLES, CONTENTS.items()):
    add(f"{role} {name}.", False, as_bytes(role, lambda _, content=content: content), "mama_mia")
for role, at in product(ROLES, (1, 10, 100, -50, -9, -8, -1)):
    add(f"{role} cut {at}", False, as_bytes(role, lambda content, at=at: content[:at]), "mama_mia")
for at in (1, 347, 348, 352, 353, 1000, -1):
    add(f"pre cut {at} plain", False, as_bytes("pre", lambda content, at=at: content[:at]))
for seed in range(20):
    add(
        f"flipped {seed}",
        None,
        as_bytes(ROLES[seed % 3], lambda content, seed=seed: flipped(content, seed)),
        ("own", "mama_mia")[seed % 2],
    )
for role in ROLES:
    add(f"{role} missing", False, lambda place, role=role: place.image(role).unlink())
    add(f"{role} with a wrong checksum", False, as_bytes(role, lambda content: content[:-8] + bytes(8)), "mama_mia")
    add(f"{role} with more behind", True, as_bytes(role, lambda content: content + bytes(100)), "mama_mia")
    add(f"{role} called .gz", False, as_bytes(role, gzip.decompress), "mama_mia")
add("pre called .nii", False, as_bytes("pre", gzip.compress))


def test_the_corpus_is_large():
    assert len(CORPUS) >= 240


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning:nibabel.*")
def test_damaged_volume(name, check_damage):
    check_damage(*CORPUS[name])


READ = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from pre2post.io.volume_file import read_geometry, read_volume
from pathlib import Path
from pre2post.core.errors import InputError
for read in (read_geometry, read_volume):
    start = time.perf_counter()
    try:
        read(Path(sys.argv[2]))
    except InputError as error:
        print(error)
    assert time.perf_counter() - start < 5
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    "at, kind, values, words", [(42, "3h", (2048, 2048, 1024), "too large"), (108, "f", (2.0**32,), "begin at byte")]
)
def test_a_small_file_does_not_become_gigabytes(tmp_path, own, at, kind, values, words):
    """5 MB decompress to 5 GB of zeros after the header, declared as voxels or as bytes before them."""
    header = bytearray(content_of(own.root / "C1_post1.nii.gz")[:352])
    struct.pack_into("<" + kind, header, at, *values)
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(bytes(header)) + gzip.compress(bytes(1 << 26), 1) * 80)
    assert bomb.stat().st_size < 30 << 20
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOT / "src"), str(bomb)], capture_output=True, text=True, timeout=60
    )
    *messages, memory = done.stdout.splitlines()
    assert done.returncode == 0 and messages and int(memory) < 500_000, (done.stdout, done.stderr[-500:])  # kB
    assert all("bomb.nii.gz" in message and words in message for message in messages), messages
