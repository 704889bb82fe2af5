"""From DICOM images to sorted frames in HU: headers, series, true times, slice stack, pixels."""
