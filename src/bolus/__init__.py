"""Perfusion maps of the brain, from any CT scanner, in seconds."""

from bolus.kernel_cache import ensure_kernel_cache
from bolus.telemetry import forbid_telemetry

__version__ = "0.1.0"

__all__ = ["__version__"]

forbid_telemetry()
ensure_kernel_cache()
