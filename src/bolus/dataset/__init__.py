"""Data sets of exams with maps: index, check, split, read."""

from __future__ import annotations

from bolus.dataset.index import Case, Index, read_index, write_index
from bolus.dataset.layouts import index_folder
from bolus.dataset.maps import read_maps, read_truth
from bolus.dataset.split import Split, read_split

__all__ = [
    "Case",
    "Index",
    "Split",
    "index_folder",
    "read_index",
    "read_maps",
    "read_split",
    "read_truth",
    "write_index",
]
