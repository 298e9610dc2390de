"""The questions of a run: what an earlier run has answered still holds, the rest goes to workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dask_validator.events import Listener, TakenOver, TaskDone
from dask_validator.journal.inputs import holds
from dask_validator.journal.journal import Journal, Recovered
from dask_validator.model import Answer, OutcomeKey, Request
from dask_validator.rules.gates import Terms
from dask_validator.rules.verdicts import provisional
from dask_validator.work.compute import Computer
from dask_validator.work.piece import Group
from dask_validator.work.walkforward import Walkforwards

Questions = Mapping[OutcomeKey, Sequence[Request]]


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


def answered(
    computer: Computer, agenda: Agenda, work: Walkforwards, *, journal: Journal, listener: Listener, terms: Terms
) -> dict[str, Answer]:
    """The answers by strategy_id: all, unless the computer's `ended_early` says why not. Each is in the journal."""
    answers = dict(agenda.answered)
    if answers:
        taken_over = list(answers.values())
        computer.reused += 0 if computer.rounds else len(answers)  # later, what is taken over is our own
        listener(TakenOver(taken_over, provisional(taken_over, terms)))

    def opens(group_requests: Sequence[Request]) -> None:
        journal.opens(request.strategy_id for request in group_requests)

    for result in computer.results(work, agenda.open, agenda.suspects, opens):
        journal.answered(result.answers)
        answers.update((answer.strategy_id, answer) for answer in result.answers)
        listener(TaskDone(len(result.answers), result.answers, result.timing, provisional(result.answers, terms)))
    return answers
