"""Encode parts of DICOM files, so that what many files share is encoded once (DICOM PS3.5, PS3.10)."""

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

PREAMBLE = bytes(128) + b"DICM"


def encoded(dataset: Dataset) -> dict[int, bytes]:
    """Return each element by tag, encoded as explicit VR, little endian."""
    found = {}
    for element in dataset:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, element)
        found[int(element.tag)] = buffer.getvalue()
    return found


def file_meta(instance: UID, implementation: UID, name: str) -> bytes:
    """Return the encoded file meta information of the image `instance`."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = implementation
    meta.ImplementationVersionName = name
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()
