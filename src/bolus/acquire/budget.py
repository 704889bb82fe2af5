"""Limits on the unpacked size and on the header length of all files of an exam together."""

from __future__ import annotations

from bolus.errors import DamagedFile

MAX_RATIO = 100
"""CT images shrink by 2 to 4, those of air by about 50; only decompression bombs shrink more."""
RATIO_FREE_BYTES = 64 * 2**20
"""Below this size a high ratio is harmless."""
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_READS = 1_000_000
"""Pieces in which one header is read, two or three to an element: some 60 for a frame of an
enhanced file, of which 10,000 are many; sequence items count as well."""
USUAL_READS = 5_000
"""Of a classic image: some hundred elements, and room for what vendors add."""
PASSES = 3
"""A file is unpacked for its header, for its pixels, and to compare it with a duplicate."""


class BudgetSpent(DamagedFile):
    """An exam unpacks to more than any CT exam does; reading stops."""


class Budget:
    """What may still be unpacked and read; one for all files of an exam."""

    def __init__(self, packed_bytes: int, files: int) -> None:
        self.left = PASSES * unpacked_limit(packed_bytes)
        """Bytes that may still be unpacked."""
        self._reads = 4 * MAX_READS + USUAL_READS * files

    def count_reads(self, count: int, name: str) -> None:
        """Count the pieces in which a header was read.

        Raises
        ------
        BudgetSpent
            Naming the file with which they were too many.
        """
        self._reads -= count
        if self._reads < 0:
            raise BudgetSpent(
                f"{name}: the headers of the exam have more elements than those of any CT; refused "
                "as a decompression bomb. Export the exam again."
            )

    def spend(self, count: int, name: str) -> None:
        """Count bytes that were unpacked.

        Raises
        ------
        BudgetSpent
            Naming the file with which it was too much.
        """
        self.left -= count
        if self.left < 0:
            raise BudgetSpent(
                f"{name}: with this file the exam has unpacked to over {MAX_RATIO} times its size, "
                "which no CT exam does; refused as a decompression bomb. Export it uncompressed."
            )


def unpacked_limit(packed_bytes: int) -> int:
    """Largest unpacked size allowed for so many packed bytes."""
    return min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * packed_bytes))
