"""Perfusion maps of the brain, from any CT scanner, in seconds."""
