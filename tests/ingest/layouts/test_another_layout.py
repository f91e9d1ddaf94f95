"""The layout in docs/how-to/extend.md is complete: one file, found automatically, that ingest can use."""

import re

import numpy as np
from repository import ROOT

from pre2post.image.volume import Volume
from pre2post.ingest import layouts
from pre2post.ingest.ingest_case import ingest_case
from pre2post.io.volume_file import write_volume


def test_the_layout_of_the_documentation_reads_a_cohort(tmp_path, monkeypatch, dicom, ingest_settings):
    page = (ROOT / "docs/how-to/extend.md").read_text()
    text = re.search(r"<!-- layout -->\n```python\n(.*?)```", page, re.S).group(1)
    assert len(text.splitlines()) <= 30
    (tmp_path / "code").mkdir()
    (tmp_path / "code/bids.py").write_text(text)
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(tmp_path / "code")])
    root = tmp_path / "cohort"
    pre = dicom.body_array(0).astype(np.int16)
    for role, array in (("pre", pre), ("post1", pre + 50), ("post2", pre + 70)):
        write_volume(Volume(array), root / f"sub-07/anat/sub-07_{role}.nii.gz")
    write_volume(Volume((pre > 800).astype(np.uint8)), root / "derivatives/masks/sub-07.nii.gz")
    name, listing = layouts.read_cohort(root)
    result = ingest_case(listing.sources[0], tmp_path / "out", ingest_settings())
    assert name == "bids" and result.error is None
    assert (result.case.id, result.case.phases, result.case.has_mask) == ("07", ("pre", "post1", "post2"), True)
