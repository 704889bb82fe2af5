"""Data sets of exams with maps: index, check, split, read."""
