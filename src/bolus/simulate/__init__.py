"""Exams with known truth: heads, boluses, lesions, noise, motion and scanners.

No estimation code may import from here; the truth must stay independent of the estimators.
"""
