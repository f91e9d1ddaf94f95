"""Volume files and masks that are cut, flipped, of another kind or in an absurd place."""

import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest

USED, EITHER = "", "?"
CORPUS = {}
LAYOUTS = ("own", "mama_mia")
FIELDS = {"header size": (0, "i"), "dimensions": (40, "h"), "columns": (42, "h"), "rows": (44, "h"), "slices": (46, "h"),
          "volumes": (48, "h"), "type": (70, "h"), "bits": (72, "h"), "qfac": (76, "f"), "width": (80, "f"),
          "thickness": (88, "f"), "offset": (108, "f"), "slope": (112, "f"), "intercept": (116, "f"),
          "qform": (252, "h"), "sform": (254, "h"), "b": (256, "f"), "x": (268, "f"), "magic": (344, "I")}
VALUES = {"header size": (0, 347, 540, -1), "dimensions": (0, 2, 4, 7, -1, 99), "columns": (0, 1, -5, 32767, 19, 21),
          "slices": (0, 1, -1, 32767, 5, 7), "volumes": (0, 2, 32767), "type": (0, 1, 2, 8, 16, 32, 64, 128, 1792, 9999),
          "bits": (0, 1, 8, 64, -16), "qfac": (0, 7, np.nan), "width": (0, -1, 1e9, 1e-9, np.nan, np.inf),
          "thickness": (0, -1, 1e9, np.nan), "offset": (0, 1, 347, 353, -1, 1e9, 1e30, np.nan, np.inf),
          "slope": (0, -1, 1e30, np.nan, np.inf), "intercept": (-5, 1e30, np.nan, np.inf), "qform": (0, -1, 99),
          "sform": (1, -1), "b": (2, -1e30, np.nan, np.inf), "x": (1e30, np.nan, np.inf, 500), "magic": (0, 0xFFFFFFFF)}


def content_of(file) -> bytes:
    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == ".gz" else content


def write(place, file, content: bytes) -> None:
    place.write(file, gzip.compress(content, 1) if file.suffix == ".gz" else content)


def field(role, name, value):
    def damage(place):
        at, kind = FIELDS[name]
        content = bytearray(content_of(place.image(role)))
        struct.pack_into("<" + kind, content, at, value)
        write(place, place.image(role), bytes(content))

    return damage


def add(name, outcome, damage, layout="own"):
    assert name not in CORPUS
    CORPUS[name] = layout, damage, outcome


for name, values in VALUES.items():
    for number, value in enumerate(values):
        for role in ("pre", "post1", "mask"):
            add(f"{role} {name} {value:g}", "", field(role, name, value), LAYOUTS[number % 2])
for at in (0, 1, 2, 10, 100, 347, 348, 352, 353, 1000, -1, -2, -8, -9, -100):
    for role in ("pre", "post1", "mask"):
        add(f"{role} cut {at}", "", lambda place, at=at, role=role: place.write(
            place.image(role), place.image(role).read_bytes()[:at]), LAYOUTS[at % 2])


def flip(place, seed, role):
    content = np.frombuffer(place.image(role).read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    content[rng.integers(0, min(content.size, 400 if seed % 2 else content.size), 2)] = rng.integers(0, 256, 2)
    place.write(place.image(role), content.tobytes())


for seed in range(40):
    add(f"flipped {seed}", EITHER, lambda place, seed=seed: flip(place, seed, ("pre", "post1", "mask")[seed % 3]), LAYOUTS[seed % 2])


def image(place, array, affine=None, role="post1"):
    old = nibabel.Nifti1Image.from_bytes(content_of(place.image(role)))
    made = nibabel.Nifti1Image(array(np.asarray(old.dataobj)), old.affine if affine is None else affine(old.affine))
    write(place, place.image(role), made.to_bytes())


def with_value(value):
    def change(array):
        array = array.astype(np.float32)
        array[3, 4, 2] = value
        return array
    return change


for value in (np.nan, np.inf, -np.inf, 3e38):
    for role in ("pre", "post1", "mask"):
        add(f"{role} voxel {value:g}", "", lambda place, value=value, role=role: image(place, with_value(value), role=role))
for kind in (np.complex64, np.float64, np.uint64, np.int8, np.uint32):
    add(f"voxels {kind.__name__}", "", lambda place, kind=kind: image(place, lambda array: array.astype(kind)))
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
for name, change in {
    "2D": lambda array: array[..., 0], "4D": lambda array: np.stack([array, array], -1), "1D": lambda array: array[0, 0],
    "4D of one": lambda array: array[..., None], "5D": lambda array: array[..., None, None],
    "vectors": lambda array: np.stack([array] * 3, -1)[..., None, :], "constant": lambda array: array * 0 + 7,
    "RGB": lambda array: np.zeros(array.shape, RGB), "one slice": lambda array: array[..., :1],
    "a slice less": lambda array: array[..., :-1], "one voxel": lambda array: array[:1, :1, :1],
    "float64 too large": lambda array: array.astype(np.float64) * 1e300,
    "turned axes": lambda array: array.transpose(2, 1, 0)}.items():
    for role in ("pre", "post1", "mask"):
        add(f"{role} {name}", "", lambda place, change=change, role=role: image(place, change, role=role))


def affine_set(values):
    def change(affine):
        changed = affine.copy()
        changed[:3] = values
        return changed
    return change


for name, values in {"zeros": np.zeros((3, 4)), "NaN": np.full((3, 4), np.nan), "infinite": np.full((3, 4), np.inf),
                     "singular": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], "huge": np.eye(3, 4) * 1e20, "tiny": np.eye(3, 4) * 1e-20,
                     "sheared": [[1, .9, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "far": [[-.75, 0, 0, 900], [0, -.75, 0, 0], [0, 0, 2.5, 0]],
                     "one column": [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], "mirrored": [[.75, 0, 0, 0], [0, -.75, 0, 20], [0, 0, 2.5, 30]]}.items():
    for role in ("pre", "post1", "mask"):
        def damage(place, values=values, role=role):
            old = nibabel.Nifti1Image.from_bytes(content_of(place.image(role)))
            header = old.header.copy()
            array = np.asarray(old.dataobj)
            made = nibabel.Nifti1Image(array, None, header)
            made.header["qform_code"], made.header["sform_code"] = 0, 1
            for axis in range(3):
                made.header["srow_" + "xyz"[axis]] = values[axis]
            content = bytearray(content_of(place.image(role)))
            content[:348] = made.header.binaryblock
            struct.pack_into("<f", content, 108, 352)
            write(place, place.image(role), bytes(content))
        add(f"{role} affine {name}", "", damage)
for role in ("pre", "post1", "mask"):
    for name, made in {"empty": b"", "text": b"a letter", "zeros": bytes(2000), "noise": np.random.default_rng(0).bytes(2000), "DICOM": bytes(128) + b"DICM" + bytes(100),
                       "gzip of nothing": gzip.compress(b""), "gzip of text": gzip.compress(b"text" * 200), "two gzip members": gzip.compress(b"a") + gzip.compress(b"b"), "bad checksum": None, "trailing bytes": b"+", "zip": b"PK\3\4"}.items():
        def damage(place, role=role, made=made):
            file = place.image(role)
            if made is None:
                made = file.read_bytes()[:-8] + bytes(8)
            elif made == b"+":
                made = file.read_bytes() + bytes(100)
            place.write(file, made)
        add(f"{role} {name}", "", damage, "mama_mia")
    add(f"{role} missing", "", lambda place, role=role: place.image(role).unlink())
    add(f"{role} gzip called nii", "", lambda place, role=role: place.write(place.image(role), gzip.compress(content_of(place.image(role)))))
    add(f"{role} nii called gz", "", lambda place, role=role: place.write(place.image(role), content_of(place.image(role))), "mama_mia")
for name, change in {"empty": lambda array: array * 0, "label 2": lambda array: array * 2, "label 255": lambda array: array * 255, "labels 0 to 3": lambda array: array + np.arange(20)[:, None, None].astype(np.uint8) // 15,
                     "negative": lambda array: -array.astype(np.int16), "halves": lambda array: array * 0.5, "everything": lambda array: array * 0 + 1, "cropped": lambda array: array[:5]}.items():
    add(f"mask {name} ", "", lambda place, change=change: image(place, change, role="mask"))


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_volume(name, request, tmp_path):
    layout, damage, outcome = CORPUS[name]
    place = request.getfixturevalue(layout).copy(tmp_path)
    damage(place)
    place.expect("?")
