"""Getting every question of a run answered: what an earlier run has answered still holds, the rest goes to workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dask_validator.errors import Incomplete
from dask_validator.events import Computed, Listener, Ready, TakenOver, TaskDone
from dask_validator.execution.executor import Job
from dask_validator.journal.inputs import holds
from dask_validator.journal.journal import Journal, Recovered
from dask_validator.model import Answer, OutcomeKey, Request, TaskTiming
from dask_validator.store.connection import release
from dask_validator.work.stopwatch import Stopwatch
from dask_validator.work.task import Group, TaskResult, WalkforwardTask, walkforward_task
from dask_validator.work.tasks import Work

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor

Questions = Mapping[OutcomeKey, Sequence[Request]]

WALKFORWARD = "walkforward"  # what the Dask dashboard calls these tasks


class Agenda(NamedTuple):
    """The questions of a run, sorted by what has to be done about them."""

    answered: dict[str, Answer]  # by strategy_id, from the journal
    open: list[Group]
    suspects: list[Group]  # open when a process that computed them itself came to its end
    changed: int  # answered in the journal, but about another row

    @property
    def groups(self) -> list[Group]:
        """All that has to be computed."""
        return self.open + self.suspects


def agenda(questions: Questions, recovered: Recovered, *, retry_failed: bool = False) -> Agenda:
    """What holds, what is open, what is suspect; strategies that have failed hold too, unless they are tried again."""
    found = Agenda({}, [], [], 0)
    if not recovered.answers and not recovered.opened:
        return found._replace(open=[Group(key, tuple(requests)) for key, requests in questions.items()])
    answers, suspects = recovered.answers, recovered.opened
    if retry_failed:
        answers = {name: answer for name, answer in answers.items() if not answer.has_failed}
        suspects = suspects | {answer.strategy_id for answer in recovered.answers.values() if answer.lost}
    changed = 0
    for key, requests in questions.items():
        rest = []
        for request in requests:
            answer = answers.get(request.strategy_id)
            if answer is not None and holds(answer, request):
                found.answered[request.strategy_id] = answer
            else:
                changed += answer is not None and answer.fingerprint != request.fingerprint
                rest.append(request)
        for of_kind, groups in ((False, found.open), (True, found.suspects)):
            if chosen := tuple(r for r in rest if (r.strategy_id in suspects) is of_kind):
                groups.append(Group(key, chosen))
    return found._replace(changed=changed)


class Computer:
    """Computes for one run, and remembers what that cost."""

    def __init__(self, executor: Executor, journal: Journal, listener: Listener, watch: Stopwatch, run_id: str) -> None:
        self.timings: list[TaskTiming] = []
        self.reused = 0
        self.ended_early: Incomplete | None = None
        self.workers = executor.workers
        self._executor = executor
        self._journal = journal
        self._listener = listener
        self._watch = watch
        self._run_id = run_id
        self._rounds = 0

    @property
    def wall_s(self) -> float:
        """From the first submission to the last result."""
        return self._watch.stages.get("computing", 0.0)

    def answers(self, agenda: Agenda, work: Work) -> dict[str, Answer]:
        """The answers by strategy_id: all, unless `ended_early` says why not."""
        if not self._rounds:  # later, what is taken over is our own
            self.reused = len(agenda.answered)
        self._rounds += 1
        answers = dict(agenda.answered)
        if answers:
            taken_over = list(answers.values())
            self._listener(TakenOver(taken_over, work.judged(taken_over)))
        if agenda.groups and self.workers:
            try:
                for result in self._results(agenda, work):
                    answers.update((answer.strategy_id, answer) for answer in result.answers)
            except Incomplete as error:
                self.ended_early = error
        return answers

    def _results(self, agenda: Agenda, work: Work) -> Iterator[TaskResult]:
        executor = self._executor
        with self._watch.stage("waiting for workers"):
            executor.wait()
            blind = executor.blind(work.source.path)
        self.workers = executor.workers  # batch systems give workers later
        tasks = work.tasks(agenda.open, executor.workers, carried=bool(blind))
        suspects = work.tasks(agenda.suspects, executor.workers, carried=bool(blind))
        self._listener(Ready(executor.workers, len(tasks) + len(suspects), blind))
        job = Job(
            kind=WALKFORWARD,
            run=f"{self._run_id}-{self._rounds}",
            function=walkforward_task,
            tasks=self._noted(tasks),
            handling=work,
            suspects=suspects,
        )
        with self._watch.stage("computing"):
            for result in executor.map(job):
                self._journal.answered(result.answers)
                if result.timing is not None:
                    self.timings.append(result.timing)
                yield result
                answers = result.answers
                self._listener(TaskDone(len(answers), answers, result.timing, work.judged(answers)))
        executor.everywhere(release)
        self._listener(Computed(self.wall_s))

    def _noted(self, tasks: Iterable[WalkforwardTask]) -> Iterable[WalkforwardTask]:
        """Tasks, each noted in the journal before it begins, when this process itself may die of it."""
        if not self._executor.in_this_process:
            return tasks
        return map(self._note, tasks)

    def _note(self, task: WalkforwardTask) -> WalkforwardTask:
        self._journal.opens(request.strategy_id for group in task.groups for request in group.requests)
        return task
