"""Work in several processes, each with one thread.

Only the standard library is imported here, so that a process can set its number of threads before
the libraries that compute are loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from typing import TypeVar

from bolus.errors import BolusError, UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
MOST_PROCESSES = 8
"""Of `spread`: more wait for the disk."""
TASKS_EACH = 12
"""With fewer tasks a process isn't worth its start."""


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes with one thread each, ended at once if anything fails.

    Raises
    ------
    BolusError
        If one of them is ended from outside.
    """
    others = set(active_children())
    # a fresh interpreter each: threads and libraries of this one are not inherited
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin)
    try:
        yield pool
        pool.shutdown()
    except BaseException as error:
        for child in set(active_children()) - others:
            child.terminate()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise BolusError(
                "a worker process was ended from outside, perhaps for lack of memory; run the same "
                "command again to go on, with fewer --workers where it takes them"
            ) from error
        raise


def as_they_finish(
    pool: ProcessPoolExecutor, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    """Number and result of each task, in the order in which they finish."""
    running = {pool.submit(work, task): number for number, task in enumerate(tasks)}
    for future in as_completed(running):
        yield running[future], future.result()


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], count: int | None
) -> Iterator[Result]:
    """The results in the order of the tasks, from ``count`` processes or as many as are worth it.

    A separate process takes a second to load its libraries, and a program that uses several must
    guard its main module, so one is the default everywhere except on the command line.
    """
    several = _worth_it(len(tasks)) if count is None else count
    if several < 2:
        yield from map(work, tasks)
        return
    with processes(several) as pool:
        yield from pool.map(work, tasks)


_threads_lost = False


def check_threads() -> None:
    """Refuse to compute where compiled code would end the process.

    numba's threads of GNU OpenMP don't survive a fork: the first parallel loop of a forked process
    ends it with a signal, and a pool waits for its result for ever.

    Raises
    ------
    UsageError
        This process was forked from one in which they ran.
    """
    if _threads_lost:
        raise UsageError(
            "this process was forked from one that has already computed, and can't use its threads;"
            " start workers with multiprocessing.get_context('spawn')"
        )


def _after_fork() -> None:
    global _threads_lost
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    openmp = sys.modules.get("numba.np.ufunc.omppool")
    if parallel is None or openmp is None or openmp.openmp_vendor != "GNU":
        return
    try:
        _threads_lost = parallel.threading_layer() == "omp"
    except ValueError:  # no loop has run yet
        return


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _worth_it(tasks: int) -> int:
    """How many processes."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, MOST_PROCESSES, tasks // TASKS_EACH))


def _begin() -> None:
    """Set up a worker: one thread, ignores Ctrl-C, ends with its parent."""
    os.environ |= dict.fromkeys(THREADS, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
