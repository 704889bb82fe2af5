"""Anatomy of the slab: baseline image, brain mask, CSF, vessels."""
