"""The README's example of a layout is what it says: one file, found by being there, that ingest can use."""

import re
from pathlib import Path

import numpy as np

import cohort.layouts
from cohort.intake import take_in
from imaging.volume import Volume, write_volume

ROOT = Path(__file__).parents[3]


def test_the_example_of_the_readme_reads_a_cohort(tmp_path, monkeypatch, dicom, ingest_settings):
    text = re.search(r"<!-- layout -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    assert len(text.splitlines()) <= 30
    (tmp_path / "code").mkdir()
    (tmp_path / "code/bids.py").write_text(text)
    monkeypatch.setattr(cohort.layouts, "__path__", [*cohort.layouts.__path__, str(tmp_path / "code")])
    root = tmp_path / "cohort"
    pre = dicom.body_array(0).astype(np.int16)
    for role, array in (("pre", pre), ("post1", pre + 50), ("post2", pre + 70)):
        write_volume(Volume(array), root / f"sub-07/anat/sub-07_{role}.nii.gz")
    write_volume(Volume((pre > 800).astype(np.uint8)), root / "derivatives/masks/sub-07.nii.gz")
    name, listing = cohort.layouts.read_cohort(root)
    taken = take_in(listing.entries[0], tmp_path / "out", ingest_settings())
    assert name == "bids" and taken.error is None
    assert (taken.case.id, taken.case.phases, taken.case.has_mask) == ("07", ("pre", "post1", "post2"), True)
