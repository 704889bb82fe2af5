"""Agreement of outlines, lesions and maps from two sources."""
