"""Exam to motion-free exam, and denoising that keeps edges."""

from bolus.align.denoise import denoise, denoise_curves
from bolus.align.noise import curve_noise_sd, noise_sd
from bolus.align.register import correct_motion

__all__ = ["correct_motion", "curve_noise_sd", "denoise", "denoise_curves", "noise_sd"]
