"""From results to files: report, ``summary.json``, NIfTI, DICOM SEG."""
