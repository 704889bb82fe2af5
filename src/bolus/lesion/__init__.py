"""Maps to lesion: thresholds, reference tissue, volumes."""
