"""DICOM images to sorted frames in HU: headers, series, true times, one stack of slices, pixels."""
