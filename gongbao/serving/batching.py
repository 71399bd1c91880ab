"""Texts of many callers, read together by one model: micro-batching with a bounded queue.

The model runs in a thread of its own. While it reads one batch the next one gathers, so that batches are as large as
the load makes them and a lone caller does not wait for others. All else happens on the event loop, which needs no
locks: nothing here is called from another thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Self

from gongbao.schema import Document

Read = Callable[[Sequence[Document]], list[Document]]
_SMOOTH: Final = 0.2  # the weight of the last batch in the measured speed
_OVERHEAD: Final = 32  # characters that a text counts for beside its own: an empty one is work too


class OverloadedError(Exception):
    """The queue is full. `retry_after`: seconds until there may be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


class StoppedError(Exception):
    """The service stopped before the text was read."""


@dataclass(eq=False, slots=True)
class _Job:
    """One request's documents; those before `taken` are with the model or read."""

    documents: Sequence[Document]
    answer: asyncio.Future[list[Document]]
    taken: int = 0
    found: dict[int, Document] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Characters that no batch has taken yet."""
        return sum(_size(document) for document in self.documents[self.taken :])


class Batcher:
    """Reads documents with one model, those of several callers at a time. Use it in `async with`.

    Args:
        read: the model; called in one thread, never twice at a time.
        batch_characters: how much it is given at a time; a longer document comes alone.
        queue_characters: how much may wait. A request that would go beyond it is refused, unless nothing waits.
        patience: seconds that a caller waits at most. Who would wait longer than that by the speed measured so far
            is refused at once rather than in vain.
        observe: told the characters and the seconds of every batch.
    """

    def __init__(
        self,
        read: Read,
        *,
        batch_characters: int,
        queue_characters: int,
        patience: float = math.inf,
        observe: Callable[[int, float], None] = lambda characters, seconds: None,
    ) -> None:
        self._read = read
        self._batch_characters = batch_characters
        self._queue_characters = queue_characters
        self._patience = patience
        self._observe = observe
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._reading = 0
        self._begun: float | None = None
        self._speed = 0.0  # characters a second; 0: not known yet
        self._arrived = asyncio.Event()
        self._stopped = False

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Refuse what comes and what still waits. Whoever wants it read waits for the answers first."""
        self._stopped = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for job in self._jobs:
            if not job.answer.done():
                job.answer.set_exception(StoppedError())
        self._jobs.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Characters that wait for the model."""
        return self._waiting

    @property
    def retry_after(self) -> int:
        """Whole seconds until what is here now may be done, by the speed measured so far; between 1 and 60."""
        seconds = (self._waiting + self._reading) / self._speed if self._speed else 1.0
        return max(1, math.ceil(min(seconds, 60.0)))

    @property
    def reading_for(self) -> float | None:
        """Seconds that the model has been at its batch; None: it is idle."""
        return None if self._begun is None else time.perf_counter() - self._begun

    async def __call__(self, documents: Sequence[Document]) -> list[Document]:
        """The documents with what the model finds in them, in their order.

        A caller that is cancelled gives up its place: what the model has not begun on is never read.

        Raises:
            OverloadedError: at once, if there is no room.
            StoppedError: the service is going down.
            Exception: whatever the model raises on one of these documents.
        """
        if self._stopped:
            raise StoppedError
        if not documents:
            return []
        job = _Job(documents, asyncio.get_running_loop().create_future())
        size = job.waiting
        self._admit(size)
        self._jobs.append(job)
        self._waiting += size
        self._arrived.set()
        try:
            return await job.answer
        finally:
            if job in self._jobs:  # the caller has gone, or one of its documents failed
                self._waiting -= job.waiting
                self._jobs.remove(job)

    def _admit(self, size: int) -> None:
        before = self._waiting + self._reading
        wait = (before + size) / self._speed if self._speed else 0.0
        if before and (self._waiting + size > self._queue_characters or wait > self._patience):
            raise OverloadedError(self.retry_after)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(0)  # what has arrived by now comes along
            batch = self._take()
            if batch:
                await self._answer(batch)

    def _take(self) -> list[tuple[_Job, int]]:
        """The next batch. Jobs give a document each in turn: a long list does not hold up a single text."""
        batch: list[tuple[_Job, int]] = []
        total = 0
        while self._jobs:
            job = self._jobs[0]
            size = _size(job.documents[job.taken])
            if batch and total + size > self._batch_characters:
                break
            self._jobs.popleft()
            batch.append((job, job.taken))
            job.taken += 1
            total += size
            self._waiting -= size
            if job.taken < len(job.documents):
                self._jobs.append(job)
        if not self._jobs:
            self._arrived.clear()
        self._reading = total
        return batch

    async def _answer(self, batch: Sequence[tuple[_Job, int]]) -> None:
        documents = [job.documents[n] for job, n in batch]
        self._begun = begun = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._each, documents)
        finally:
            self._reading, self._begun = 0, None
        seconds = time.perf_counter() - begun
        characters = sum(map(_size, documents))
        measured = characters / max(seconds, 1e-6)
        self._speed = self._speed + _SMOOTH * (measured - self._speed) if self._speed else measured
        self._observe(sum(len(d.text) for d in documents), seconds)
        for (job, n), result in zip(batch, found, strict=True):
            if job.answer.done():  # its caller has gone
                continue
            if isinstance(result, BaseException):
                job.answer.set_exception(result)
                continue
            job.found[n] = result
            if len(job.found) == len(job.documents):
                job.answer.set_result([job.found[k] for k in range(len(job.documents))])

    def _each(self, documents: Sequence[Document]) -> list[Document | Exception]:
        """What the model finds in each. If it fails on all together, on each alone: others do not suffer for one."""
        try:
            return list(self._read(documents))
        except Exception as error:
            if len(documents) == 1:
                return [error]
        return [self._each([document])[0] for document in documents]


def _size(document: Document) -> int:
    return len(document.text) + _OVERHEAD
