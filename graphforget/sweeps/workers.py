"""Cells in worker processes: fresh interpreters of one thread each; one that dies takes its cell with it and nothing else.

``concurrent.futures`` gives up all work when one process dies, and its workers outlive a parent that is killed; neither will do
for a run of days.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from graphforget.exceptions import InputError
from graphforget.sweeps.cell import run_cell
from graphforget.sweeps.plan import Cell
from graphforget.sweeps.records import Record, write_cell

Job = tuple[Cell, list[str]]  # a cell and the methods to run


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        cell: The cell.
        seconds: How long it took.
        records: What was written; empty where the cell was lost.
        lost: Why there are no records.
    """

    cell: Cell
    seconds: float
    records: Sequence[Record] = ()
    lost: str | None = None


Tell = Callable[[Outcome], None]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for the linear algebra below numpy, so that figures do not depend on the number of workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def run_job(folder: Path, job: Job) -> Outcome:
    """Run a cell and write its records; what goes wrong with the cell as a whole is told, not raised."""
    cell, labels = job
    started = time.perf_counter()
    try:
        with one_thread():
            records = run_cell(cell, labels)
    except Exception as error:
        what = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return Outcome(cell, time.perf_counter() - started, lost=" ".join(what.split()))
    write_cell(folder, cell, records)
    return Outcome(cell, time.perf_counter() - started, records)


def run_here(folder: Path, jobs: Sequence[Job], tell: Tell) -> None:
    """All jobs in this process, one after the other."""
    for job in jobs:
        tell(run_job(folder, job))


# ---- processes --------------------------------------------------------------------------------------------------------
@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    job: Job | None = None
    since: float = 0.0


def run_in_workers(folder: Path, jobs: Sequence[Job], count: int, tell: Tell) -> None:
    """All jobs in ``count`` processes.

    Raises:
        InputError: A process ended before it began, as it does when a script calls this without a main guard.
    """
    pending = list(jobs)
    workers = [_hire(folder) for _ in range(min(count, len(pending)))]
    try:
        while workers:
            for worker in workers:
                if worker.ready and worker.job is None and pending:
                    _assign(worker, pending, workers)
            idle = [worker for worker in workers if worker.ready and worker.job is None]
            for worker in idle:  # nothing is left for it
                _dismiss(worker)
                workers.remove(worker)
            if workers:
                wait([end for worker in workers for end in (worker.connection, worker.process.sentinel)])
            for worker in list(workers):
                message, dead = _hear(worker)
                if message == "ready":
                    worker.ready = True
                elif message is not None:
                    worker.job = None
                    tell(message)
                elif dead:
                    workers.remove(worker)
                    if not worker.ready:
                        raise InputError(
                            f"a worker process ended before it began ({_ending(worker.process)}): in a script, call "
                            f"graphforget.sweep below `if __name__ == '__main__':`, or use workers=0."
                        )
                    if worker.job is not None:
                        tell(Outcome(worker.job[0], time.perf_counter() - worker.since, lost=_ending(worker.process)))
                    if pending:
                        workers.append(_hire(folder))
    finally:
        for worker in workers:
            worker.process.kill()
            _dismiss(worker)


def _hire(folder: Path) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, folder))
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _assign(worker: _Worker, pending: list[Job], workers: Sequence[_Worker]) -> None:
    """The next job, rather one whose original nobody is training at this moment."""
    busy = {other.job[0].original for other in workers if other.job is not None}
    place = next((i for i, (cell, _) in enumerate(pending) if cell.original not in busy), 0)
    worker.job, worker.since = pending.pop(place), time.perf_counter()
    with contextlib.suppress(OSError):  # it has just died, which its sentinel will tell
        worker.connection.send(worker.job)


def _hear(worker: _Worker) -> tuple[Any, bool]:
    """(a message or None, whether the process has ended)."""
    try:
        if worker.connection.poll():
            return worker.connection.recv(), False
    except (EOFError, OSError):
        return None, True
    return None, not worker.process.is_alive()


def _dismiss(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.join()


def _ending(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _work(connection: Connection, folder: Path) -> None:
    """What a worker does: jobs, until none comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            connection.send(run_job(folder, connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # a killed sweep leaves nothing behind that goes on computing
