"""From maps to lesions: thresholds, reference tissue, volumes."""
