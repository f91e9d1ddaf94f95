"""Arrays written in pieces are read memory-mapped, and a failed write leaves the earlier file."""

import numpy as np
import pytest

from pre2post.io.slice_store import map_array, write_arrays


def test_pieces_are_read_as_one_array(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 4, 4))
    mask = values > 0
    write_arrays(
        tmp_path,
        len(values),
        {"pre": (np.float32, values.shape[1:]), "mask": (np.uint8, values.shape[1:])},
        ({"pre": values[part], "mask": mask[part]} for part in (slice(0, 2), slice(2, 5))),
    )
    pre = map_array(tmp_path / "pre.npy")
    assert isinstance(pre, np.memmap) and pre.dtype == np.float32
    np.testing.assert_array_equal(pre, values.astype(np.float32))
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), mask)


def test_a_failure_leaves_the_earlier_file(tmp_path):
    write_arrays(tmp_path, 1, {"pre": (np.float32, (2, 2))}, [{"pre": np.ones((1, 2, 2))}])
    before = (tmp_path / "pre.npy").read_bytes()

    def broken():
        yield {"pre": np.zeros((1, 2, 2))}
        raise OSError("stop")

    with pytest.raises(OSError, match="stop"):
        write_arrays(tmp_path, 2, {"pre": (np.float32, (2, 2))}, broken())
    with pytest.raises(ValueError, match="1 slices instead of 2"):
        write_arrays(tmp_path, 2, {"pre": (np.float32, (2, 2))}, [{"pre": np.ones((1, 2, 2))}])
    assert (tmp_path / "pre.npy").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["pre.npy"]


@pytest.mark.parametrize("kept", [0, 20, 0.5, -1])
def test_a_missing_or_truncated_file_is_refused(tmp_path, refused, kept):
    file = tmp_path / "pre.npy"
    refused(lambda: map_array(file), str(file), "missing", "dvc repro extract_slices")
    write_arrays(tmp_path, 2, {"pre": (np.float32, (2, 2))}, [{"pre": np.ones((2, 2, 2))}])
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(lambda: map_array(file), str(file), "cannot be read", "dvc repro extract_slices")
