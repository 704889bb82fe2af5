"""Bytes to ``Exam``: DICOM, NIfTI and UniToBrain folders, sorted by position and true time."""
