"""Exam to motion-free exam."""
