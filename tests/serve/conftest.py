"""What the tests of the server share."""

from conftest_serve import drawing, job_done, out, own, page, ran

__all__ = ["drawing", "job_done", "out", "own", "page", "ran"]
