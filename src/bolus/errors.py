"""Everything bolus raises on purpose, and the exit code each ends with.

::

    BolusError                 1   base of all
      UsageError               2   impossible or contradictory arguments
      NotAnExam                3   nothing in there is a CT perfusion exam
        NoReadableFiles        3   no file of a known format
        NotCT                  3   images, but not CT, or none with time
        TooFewFrames           3   a CT series, but without a time course
      BrokenExam               4   a CT perfusion exam that can't be used as it is
        DamagedFile            4   a file can't be read or decoded
        MissingTiming          4   no usable time axis
        BadGeometry            4   slices that don't form a stack, mixed grids
        AmbiguousExam          4   several patients or exams, and no way to choose
        IncompleteExam         4   too many frames or slices are missing
        ImplausibleValues      4   the numbers can't be those of a head
        TooLarge               4   an exam that this computer's memory can't hold
      NoPerfusion              5   readable, but no bolus, no brain or no artery in it
      OutputError              6   results can't be written

Each message names the file (or folder), what is wrong with it and what to do.
"""

from __future__ import annotations

from bolus.plain_text import one_line


class BolusError(Exception):
    """Base class of all errors of bolus; the message is meant for the user."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        """Any text may be part of the message: names of files, words of a library."""
        super().__init__(one_line(message))


class UsageError(BolusError):
    """The command line or an argument is invalid."""

    exit_code = 2


class NotAnExam(BolusError):
    """Nothing at the given path is a CT perfusion exam."""

    exit_code = 3


class NoReadableFiles(NotAnExam):
    """The path is missing, empty, or holds no file of a known format."""


class NotCT(NotAnExam):
    """There are images, but they are not CT or not source images (derived, localizers, maps)."""


class TooFewFrames(NotAnExam):
    """A CT series without a time course: a single scan, or a handful of frames."""


class BrokenExam(BolusError):
    """A CT perfusion exam that can't be used as it is."""

    exit_code = 4


class DamagedFile(BrokenExam):
    """A file can't be read or decoded."""


class MissingTiming(BrokenExam):
    """The exam has no usable time axis."""


class BadGeometry(BrokenExam):
    """Positions, orientations or grids don't form one stack of slices."""


class AmbiguousExam(BrokenExam):
    """Several patients or exams that can't be distinguished safely."""


class IncompleteExam(BrokenExam):
    """Too many slices or frames are missing."""


class ImplausibleValues(BrokenExam):
    """The numbers can't be Hounsfield units, or the sizes, of a head."""


class TooLarge(BrokenExam):
    """An exam whose processing needs more memory than there is."""


class NoPerfusion(BolusError):
    """Readable, but there is no bolus, no brain or no artery in it."""

    exit_code = 5


class OutputError(BolusError):
    """The results can't be written."""

    exit_code = 6
