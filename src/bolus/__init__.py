"""Perfusion maps of the brain, from any CT scanner, in seconds."""

from bolus.kernel_cache import ensure_kernel_cache

__version__ = "0.1.0"

__all__ = ["__version__"]

ensure_kernel_cache()
