"""CheckReport: which checks ran, on what, and how they ended, so that a check that was skipped cannot pass for one that held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["passed", "failed", "not applicable"]


class NotApplicable(Exception):
    """Raised inside a check that has nothing to say here; its text is the reason that the report shows."""


class ContractError(AssertionError):
    """At least one check failed.

    Attributes:
        report: The whole report, passed checks included.
    """

    def __init__(self, report: CheckReport) -> None:
        self.report = report
        super().__init__(report.summary())


@dataclass(frozen=True)
class Check:
    """One check on one task and request.

    Attributes:
        name: What was checked.
        task: Name of the case, e.g. the task's registry key; empty for checks that need none.
        request: Name of the request among the case's requests; empty where none is involved.
        outcome: ``"passed"``, ``"failed"`` or ``"not applicable"``.
        reason: Why it failed or does not apply.
    """

    name: str
    task: str
    request: str
    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        where = "/".join(part for part in (self.task, self.request) if part)
        return f"{self.name}{f' [{where}]' if where else ''}: {self.outcome}{f', {self.reason}' if self.reason else ''}"


@dataclass
class CheckReport:
    """All checks that one component went through.

    Attributes:
        subject: The component's name.
        checks: In the order they ran.
        results: What checks left behind for comparison, e.g. one ``UnlearnResult`` per (case, request).
    """

    subject: str
    checks: list[Check] = field(default_factory=list)
    results: dict[Any, Any] = field(default_factory=dict, repr=False)

    def run(self, name: str, task: str, request: str, check: Callable[[], None]) -> bool:
        """Run one check, record how it ended, and say whether it passed."""
        outcome: Outcome = "passed"
        reason = ""
        try:
            check()
        except NotApplicable as skip:
            outcome, reason = "not applicable", str(skip)
        except AssertionError as error:
            outcome, reason = "failed", str(error) or "an assertion without a message did not hold"
        except Exception as error:  # whatever a third party's component raises is a finding, not an end
            outcome, reason = "failed", f"it raised {type(error).__name__}: {error}"
        self.checks.append(Check(name, task, request, outcome, reason))
        return outcome == "passed"

    @property
    def executed(self) -> tuple[Check, ...]:
        """Checks that ran to a verdict."""
        return tuple(c for c in self.checks if c.outcome != "not applicable")

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not hold."""
        return tuple(c for c in self.checks if c.outcome == "failed")

    def counts(self) -> dict[str, int]:
        """Number of executed checks by name."""
        return dict(Counter(c.name for c in self.executed))

    def summary(self) -> str:
        """One line of numbers, then one sentence per failure."""
        lines = [f"{self.subject}: {len(self.executed)} checks executed, {len(self.failed)} failed."]
        return "\n".join(lines + [f"  {check}" for check in self.failed])

    def raise_if_failed(self) -> CheckReport:
        """Raise :class:`ContractError` when something failed; otherwise return the report itself."""
        if self.failed:
            raise ContractError(self)
        return self

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(f"  {c}" for c in self.checks if c.outcome != "failed")])


def require(condition: object, sentence: str) -> None:
    """Fail the present check with a sentence. Unlike ``assert`` it also holds under ``python -O``."""
    if not condition:
        raise AssertionError(sentence)
