"""Perfusion maps of the brain, from any CT scanner, in seconds."""

__version__ = "0.1.0"

__all__ = ["__version__"]
