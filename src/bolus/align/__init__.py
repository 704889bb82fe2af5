"""Exam to motion-free exam."""

from bolus.align.register import correct_motion

__all__ = ["correct_motion"]
