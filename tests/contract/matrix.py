"""The matrix of the contract: what each method serves of each tiny case, which cells stand for the others, and what a cell owes.

Everything follows from the registry, the tags and the requests, so that a new method or case joins by itself. No model is trained
here: what a method serves is asked of models with fresh weights.

``python -m tests.contract.matrix`` (``make refusals``) writes ``refusals.txt``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from torch import nn

from graphforget.base import Ensemble, FitLog, Unlearner, weights_digest
from graphforget.exceptions import Reason
from graphforget.testing import TINY_CASES, UNLEARNER_CHECKS, TinyCase, tiny_data, tiny_requests, tiny_task
from graphforget.testing.leaks import forgets_content
from graphforget.testing.tiny import tiny_later
from graphforget.unlearners import METHODS

REFUSALS = Path(__file__).with_name("refusals.txt")
# The checks of a method that need no request that it serves, and those that its tags may rule out; all others always apply.
ONCE = {"construction", "tags", "refuses unsupported"}
MAY_NOT_APPLY = {"forgotten content unread", "exact", "declared frozen", "another method follows"}


def made(method: str) -> Unlearner:
    """A method as most checks try it."""
    cls = METHODS[method]
    return cls(**cls.test_params()[0])


@cache
def fresh(case: str) -> TinyCase:
    """A tiny case before training."""
    task, data = tiny_task(case), tiny_data(case)
    model = task.new_model(data, seed=0)
    log = FitLog(0, weights_digest(model), 0, 0, None, 0.0, 0.0)
    return TinyCase(task, data, tiny_requests(case), tiny_later(case), model, log, case)


@cache
def reasons(method: str, case: str) -> dict[str, list[Reason]]:
    """Why a method refuses the requests of a case; an empty list where it serves one."""
    one, instance = fresh(case), made(method)
    return {name: instance.supports(one.task, request, one.model(), one.history) for name, request in one.requests.items()}


def served(method: str, case: str) -> tuple[str, ...]:
    """The requests of a case that a method serves; the first is the one that most checks use."""
    return tuple(name for name, why in reasons(method, case).items() if not why)


# ---- the cells that stand for the others -----------------------------------------------------------------------
@cache
def family(case: str) -> str:
    """The room of a case's task, and for a graph what an example is: a link (two ids) or a node."""
    task = fresh(case).task
    room = type(task).__module__.split(".")[2]  # graphforget.tasks.<room>
    if room != "graph":
        return room
    return "graph link" if task.index(tiny_data(case), "train").dim() == 2 else "graph node"


def families() -> dict[str, list[str]]:
    """The tiny cases of every family, in the order of ``TINY_CASES``."""
    found: dict[str, list[str]] = {}
    for case in TINY_CASES:
        found.setdefault(family(case), []).append(case)
    return found


def representatives(method: str) -> tuple[str, ...]:
    """One case of every family: the first of those of which the method serves the most requests."""
    return tuple(max(cases, key=lambda case: len(served(method, case))) for cases in families().values())


# ---- what a cell owes --------------------------------------------------------------------------------------------
def owed(method: str, case: str) -> set[tuple[str, str]]:
    """Every (check, request) that must run to a verdict, by the tags and the requests that the method serves."""
    names = served(method, case)
    nowhere = {(check, "") for check in ONCE}
    if not names:
        return nowhere
    tags, one, tuner = METHODS[method].tags, fresh(case), made("finetune")
    applies = {
        "exact": tags.guarantee == "exact",
        "declared frozen": tags.declares_frozen,
        # A method that does not declare to read the original data may find all of it unusable; else something must be forgotten
        # of which content can be.
        "forgotten content unread": "original" not in tags.contexts
        or any(forgets_content(one.task.split(one.data, one.requests[name])) for name in names),
        "another method follows": not issubclass(tags.makes_model or nn.Module, Ensemble)
        and any(not tuner.supports(one.task, request, one.model(), one.history) for request in one.later),
    }
    assert set(applies) == MAY_NOT_APPLY
    main = {check for check in UNLEARNER_CHECKS if applies.get(check, check not in ONCE and check != "every request")}
    return nowhere | {(check, names[0]) for check in main} | {("every request", name) for name in names[1:]}


# ---- what is refused ---------------------------------------------------------------------------------------------
def refusals() -> str:
    """All refusals by reason: the tag that is not met, or the parameter or part of the model that stands in the way."""
    table: dict[str, dict[tuple[str, str], list[str]]] = {}
    for method in METHODS:
        for case in TINY_CASES:
            codes: dict[str, list[str]] = {}
            for name, why in reasons(method, case).items():
                if why:
                    codes.setdefault(why[0].code, []).append(name)
            for code, names in codes.items():
                what = "" if len(names) == len(reasons(method, case)) else f"{', '.join(names)} of "
                table.setdefault(code, {}).setdefault((method, what), []).append(case)
    lines = [
        "Which method refuses which tiny case, or which requests of it, by the first reason it gives. What is not here is served.",
        "Written by `make refusals`: a difference is a method that serves more or less than it did.",
    ]
    for code in sorted(table):
        lines += ["", code, *(f"  {method}: {what}{', '.join(cases)}" for (method, what), cases in sorted(table[code].items()))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    REFUSALS.write_text(refusals(), encoding="utf-8")
