"""A batch run decides everyone once: who loses races, and whose fault a fault is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from kaireon_application.decisioning.decide_list import DecideCustomer, DecideRequest
from kaireon_application.decisioning.decide_run import DecideRun
from kaireon_application.decisioning.decision_run import (
    CHUNK_SIZE,
    JOB_TYPE,
    ChunkTaken,
    CommitPart,
    PlacedCustomer,
    RunCounts,
    RunPart,
    RunPlan,
    RunStand,
    RunSummary,
)
from kaireon_application.decisioning.recommend import MAX_ATTEMPTS
from kaireon_application.decisioning.wire import DecisionMeta, Recommendation
from kaireon_application.errors import Busy, CapTaken, KaireonError, NotFound, Unavailable
from kaireon_application.platform.job import Job, JobCancelled, JobRun, LeaseLost, Queue
from kaireon_runtime.metrics import Metrics

FLOW = SimpleNamespace(compiled=SimpleNamespace(candidates=[None] * 10), calls_out=False)


class Book:
    """The results of a run in memory; what happens to a commit, each customer says by their name."""

    def __init__(self, customers: Sequence[str]) -> None:
        self.customers = customers
        self.lines: dict[int, dict[str, Any]] = {}
        self.lost = Counter[str]()
        self.held = list[str]()
        self.sizes = list[int]()
        self.is_down = False
        self.room = 0
        self.chunks = deque(range(-(-len(customers) // CHUNK_SIZE)))
        self.is_dismissed = False

    async def open(self, run: JobRun) -> RunPlan | None:
        return RunPlan(request=DecideRequest(), total=len(self.customers))

    async def claim(self, run: JobRun) -> list[PlacedCustomer] | None:
        if not self.chunks:
            return None
        number = self.chunks.popleft()
        places = range(len(self.customers))[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE]
        return [
            PlacedCustomer(place=place, customer=DecideCustomer(customer_id=self.customers[place]))
            for place in places
            if place not in self.lines
        ]

    async def stand(self, run: JobRun) -> RunStand:
        return RunStand(processed=len(self.lines), is_complete=len(self.lines) == len(self.customers))

    async def dismiss(self, run: JobRun) -> None:
        self.is_dismissed = True

    def committing(self, run: JobRun) -> CommitPart:
        return self._commit

    @asynccontextmanager
    async def holding(self, run: JobRun, customer_id: str) -> AsyncGenerator[CommitPart]:
        self.held.append(customer_id)
        yield self._commit

    async def finish(self, run: JobRun, summarise: Callable[[RunCounts], RunSummary]) -> RunSummary:
        failed = sum("code" in line for line in self.lines.values())
        counts = RunCounts(
            processed=len(self.lines), failed=failed, with_recommendations=0, recommendations=0, offers=[], channels=[]
        )
        return summarise(counts)

    async def _commit(self, part: RunPart) -> list[bool]:
        if self.is_down:
            raise Unavailable
        names = [str(change) for change in part.changes]
        self.sizes.append(len(names))
        if any(name.startswith("busy") and not self.lost[name] for name in names):
            self.lost.update(names)
            raise Busy
        if sum(name.startswith("capped") for name in names) > self.room:
            self.lost.update(names)
            self.room = self.room + (self.lost[names[0]] > MAX_ATTEMPTS)
            raise CapTaken
        if any(name.startswith("refused") for name in names):
            raise KaireonError("not storable")
        won = [not name.startswith("late") or name in self.held for name in names]
        self.lost.update(name for name, has_won in zip(names, won, strict=True) if not has_won)
        kept = [line for line, has_won in zip(part.lines, won, strict=True) if has_won]
        for line in [*kept, *part.refusals]:
            assert line.place not in self.lines
            self.lines[line.place] = msgspec.json.decode(line.line)
        return won


class Engine:
    """Plans and drafts; a change is its customer's name."""

    def __init__(self) -> None:
        self.committed_count = 0

    async def look(self) -> None:
        return

    async def current(self, tenant_id: str) -> None:
        return

    async def plan(self, tenant_id: str, flow_key: str | None, routing: object) -> tuple[None, Any]:
        return None, FLOW

    async def draft(self, asked: Sequence[Any]) -> Any:
        names = [one.customer_id for one in asked]
        if any(name.startswith("odd") for name in names):
            raise ZeroDivisionError
        meta = DecisionMeta(decision_flow_key="flow", decision_flow_id="id")
        answers = [
            Recommendation(recommendation_id=f"rec_{name}", customer_id=name, count=0, decisions=[], meta=meta)
            for name in names
        ]
        return SimpleNamespace(answers=answers, changes=names)

    def committed(self, drafted: Any, won: Sequence[bool]) -> None:
        self.committed_count += sum(won)


class Attempt:
    """Implements `JobRun`."""

    lease_token = UUID(int=0)
    job = Job(id=uuid4(), tenant_id=uuid4(), queue=Queue.BATCH, type=JOB_TYPE, payload={}, attempt=1)

    def __init__(self) -> None:
        self.reported = list[int]()

    async def report(self, processed: int, total: int | None) -> None:
        self.reported.append(processed)


async def decide(book: Any, engine: Engine | None = None, run: Attempt | None = None) -> Attempt:
    used: Any = engine or Engine()
    run = run or Attempt()
    decide_run = DecideRun(snapshots=used, plan=used.plan, decide=used, progress=book, metrics=Metrics())
    assert (await decide_run(run))["processed"] == len(book.customers)
    return run


async def test_everyone_is_decided_in_groups_and_who_has_a_result_is_left_out() -> None:
    book, engine = Book([f"c{number}" for number in range(2 * CHUNK_SIZE + 3)]), Engine()
    book.lines = {place: {} for place in range(CHUNK_SIZE + 1)}
    run = await decide(book, engine)

    assert book.sizes == [CHUNK_SIZE - 1, 3]
    assert (run.reported[0], run.reported[-1]) == (CHUNK_SIZE + 1, 2 * CHUNK_SIZE + 3)
    assert run.reported == sorted(run.reported)
    assert engine.committed_count == CHUNK_SIZE + 2


async def test_a_cancelled_run_says_how_many_it_has_decided() -> None:
    class Stopped(Attempt):
        async def report(self, processed: int, total: int | None) -> None:
            await super().report(processed, total)
            if processed > 0:
                raise JobCancelled

    for size in (3, CHUNK_SIZE + 1, 5 * CHUNK_SIZE):
        book, run = Book([f"c{number}" for number in range(size)]), Stopped()
        with pytest.raises(JobCancelled):
            await decide(book, run=run)
        assert run.reported[-1] == len(book.lines)
        assert book.is_dismissed
        assert len(book.lines) <= 3 * CHUNK_SIZE


async def test_the_leader_decides_what_a_helper_leaves_behind() -> None:
    class Helped(Book):
        """A helper holds the second chunk, decides one customer of it, and is lost."""

        async def stand(self, run: JobRun) -> RunStand:
            if not self.chunks and CHUNK_SIZE not in self.lines:
                self.lines[CHUNK_SIZE] = {}
                self.chunks.append(1)
            return await super().stand(run)

    book = Helped([f"c{number}" for number in range(2 * CHUNK_SIZE)])
    book.chunks = deque([0])
    await decide(book)
    assert book.sizes == [CHUNK_SIZE, CHUNK_SIZE - 1]


async def test_a_chunk_that_was_taken_is_somebody_elses() -> None:
    class Taken(Book):
        async def _commit(self, part: RunPart) -> list[bool]:
            if not self.sizes:
                self.sizes.append(0)
                self.lines = {place: {} for place in range(CHUNK_SIZE)}
                raise ChunkTaken
            return await super()._commit(part)

    book, engine = Taken([f"c{number}" for number in range(CHUNK_SIZE + 2)]), Engine()
    await decide(book, engine)
    assert (book.sizes, engine.committed_count) == ([0, 2], 2)


@pytest.mark.parametrize("reason", [JobCancelled, LeaseLost])
async def test_a_helper_ends_quietly_when_it_is_not_wanted_any_more(reason: type[Exception]) -> None:
    class Unwanted(Attempt):
        async def report(self, processed: int, total: int | None) -> None:
            await super().report(processed, total)
            if processed > 0:
                raise reason

    engine: Any = Engine()
    book: Any = Book([f"c{number}" for number in range(5 * CHUNK_SIZE)])
    decide_run = DecideRun(snapshots=engine, plan=engine.plan, decide=engine, progress=book, metrics=Metrics())
    assert await decide_run.help(Unwanted()) == {}
    assert 0 < len(book.lines) <= 3 * CHUNK_SIZE
    assert not book.is_dismissed


async def test_who_loses_every_race_is_decided_while_held() -> None:
    book = Book(["a", "late1", "b", "late2"])
    await decide(book)

    assert book.sizes == [4, *[2] * (MAX_ATTEMPTS - 1), 1, 1]
    assert book.held == ["late1", "late2"]
    assert [book.lines[place]["customerId"] for place in range(4)] == ["a", "late1", "b", "late2"]


async def test_a_row_that_somebody_holds_is_waited_for() -> None:
    book = Book(["a", "busy"])
    await decide(book)
    assert [book.lines[place]["recommendationId"] for place in range(2)] == ["rec_a", "rec_busy"]


async def test_who_meets_a_cap_that_was_taken_is_decided_again() -> None:
    book = Book(["a", "capped1", "b", "capped2"])
    book.room = 1
    await decide(book)
    assert (sorted(book.lines), book.sizes[:3], book.held) == ([0, 1, 2, 3], [4, 2, 2], [])

    book = Book(["capped"])
    await decide(book)
    assert book.held == ["capped"] * 2


async def test_a_fault_is_found_half_by_half_and_told() -> None:
    book = Book([*(f"c{number}" for number in range(8)), "refused", "odd"])
    await decide(book)

    told = [line for _, line in sorted(book.lines.items()) if "code" in line]
    assert told == [
        {"customerId": "refused", "code": "INTERNAL", "message": "not storable"},
        {"customerId": "odd", "code": "INTERNAL", "message": "this customer could not be decided"},
    ]
    assert len(book.lines) == 10


async def test_what_is_away_is_nobodys_fault() -> None:
    book = Book(["a", "b"])
    book.is_down = True
    with pytest.raises(Unavailable):
        await decide(book)
    assert book.lines == {}


async def test_a_run_that_is_gone_ends_its_job() -> None:
    class Empty(Book):
        async def open(self, run: JobRun) -> RunPlan | None:
            return None

    with pytest.raises(NotFound):
        await decide(Empty([]))
