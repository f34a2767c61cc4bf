"""run: a recipe from data to report, in stages that are never done twice.

A stage's key is a digest of everything that goes into it. A stage that is finished for the same key, and whose files are still
what they were, is skipped; so an interrupted run continues where it stopped. Every stage reads what the stage before it wrote to
disk, whether that was a second or a month ago: an interrupted run and an uninterrupted one take the same way.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphforget.base import FitLog, Task, Unlearner, UnlearnResult, content_digest, load_model, weights_digest
from graphforget.base.checkpoint import save_model
from graphforget.evaluation import evaluate, gold_models, model_key
from graphforget.evaluation.requested import requested_attacks, requested_metrics
from graphforget.exceptions import UnsupportedError
from graphforget.home import write_json, write_text
from graphforget.pipeline.components import load_trained, make_data, make_method, make_request, make_task, model_maker
from graphforget.pipeline.config import RunConfig, load_config
from graphforget.pipeline.folder import RunFolder, Status, file_digest, open_folder, read_report, write_environment
from graphforget.pipeline.results import load_result, save_result
from graphforget.pipeline.saved import read_history
from graphforget.reporting import Report
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS

Progress = Callable[[str, int, int, Mapping[str, Any]], None]
Work = Callable[[], tuple[list[Path], dict[str, Any]]]


def run(
    config: str | Path | Mapping[str, Any] | RunConfig,
    *,
    overrides: Sequence[str] = (),
    folder: str | Path = "runs",
    resume: bool = True,
    progress: Progress | None = None,
) -> RunFolder:
    """Run a recipe: train (or load) a model, delete, retrain gold models, evaluate, report.

    Args:
        config: A recipe file, the name of a shipped recipe (``"demo"``), a mapping or a :class:`RunConfig`.
        overrides: ``"unlearner.lr=0.01"`` and the like.
        folder: Where run folders go: ``<folder>/<name>/<utc>-<digest8>/``.
        resume: Continue the newest folder of the same configuration; otherwise make a new one.
        progress: ``progress(stage, step, total, values)``; a skipped stage is told as ``values == {"skipped": True}``.

    Returns:
        The run folder, with its report.

    Raises:
        InputError: The configuration, a file it names, or the request is wrong; nothing has been trained then.

    Example:
        >>> import tempfile
        >>> done = run("demo", overrides=["evaluate.gold=1", "task.recipe.epochs=2", "compare=[]", "unlearner.method=unlink"],
        ...            folder=tempfile.mkdtemp())
        >>> done.report.verdict.label
        'inconclusive'
    """
    checked = load_config(config, overrides)
    prepared = _prepare(checked)
    path = open_folder(checked, folder, resume=resume)
    runner = _Runner(checked, path, prepared, progress)
    try:
        runner.all()
    except BaseException as error:
        runner.status.close("failed" if isinstance(error, Exception) else "interrupted", str(error))
        raise
    runner.status.close("done")
    return RunFolder(path, tuple(runner.skipped), read_report(path))


@dataclass(eq=False)
class _Prepared:
    """Everything that can be checked before a folder is made or a model trained."""

    data: Any
    task: Task
    request: DeletionRequest
    trained: nn.Module | None
    methods: list[Unlearner]


def _prepare(config: RunConfig) -> _Prepared:
    data = make_data(config.data, TASKS[config.task.name].name)
    trained = load_trained(config.model, data) if config.model.trained else None
    task, data = make_task(config.task, config.model, data, trained)
    request = task.split(data, make_request(config.request, task, data)).request
    model = task.new_model(data, seed=0) if trained is None else trained
    # A model that this run trains will have a history; whether a method can do without one is asked all the same.
    history = FitLog(0, "", 0, 0, None, 0.0, 0.0) if trained is None else None
    methods: list[Unlearner] = []
    for where, section in [("unlearner", config.unlearner), *((f"compare.{i}", s) for i, s in enumerate(config.compare))]:
        method = make_method(where, section, task, request, model)
        reasons = method.supports(task, request, model, history)
        if reasons:
            raise UnsupportedError(method.tags.key, reasons)
        if method not in methods:  # "auto" may have chosen what is also compared
            methods.append(method)
    return _Prepared(data, task, request, trained, methods)


@dataclass(eq=False)
class _Runner:
    config: RunConfig
    path: Path
    prepared: _Prepared
    progress: Progress | None
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = Status(self.path)

    def tell(self, stage: str, step: int, total: int, **values: Any) -> None:
        if self.progress is not None:
            self.progress(stage, step, total, values)

    def stage(self, name: str, key: str, work: Work) -> dict[str, Any]:
        """Do a stage, unless it is finished for ``key``; what it noted."""
        if self.status.finished(name, key):
            self.skipped.append(name)
            self.tell(name, 1, 1, skipped=True)
            return self.status.facts(name)
        self.status.start(name, key)
        self.tell(name, 0, 1)
        started = time.perf_counter()
        files, facts = work()
        self.status.finish(name, files, time.perf_counter() - started, facts)
        self.tell(name, 1, 1)
        return facts

    def all(self) -> None:
        """Every stage in order."""
        config, ready = self.config, self.prepared
        sections = config.to_dict()
        data = self.stage("data", content_digest(_versions(), sections["data"], ready.data.digest()), self._data)["digest"]
        request = content_digest(data, ready.request.digest())
        self.stage("request", request, self._request)
        given = "" if ready.trained is None else weights_digest(ready.trained)
        made = type(ready.trained) if ready.trained is not None else model_maker(config.model).model_class
        code = [*code_of(type(ready.task)), *code_of(made)]
        model = content_digest(_versions(), data, sections["task"], sections["model"], config.seeds.original, given, *code)
        self.stage("original", model, self._original)
        methods, code = [repr(m) for m in ready.methods], [part for m in ready.methods for part in code_of(type(m))]
        unlearn = content_digest(model, request, methods, list(config.seeds.unlearn), config.device, *code)
        self.stage("unlearn", unlearn, self._unlearn)
        gold = content_digest(model, request, config.evaluate.gold, config.evaluate.cache_key)
        self.stage("gold", gold, self._gold)
        asked: list[Any] = [*requested_metrics(config.evaluate.metrics), *requested_attacks(config.evaluate.attacks)]
        code = [part for one in asked for part in code_of(one.compute)]
        self.stage("evaluate", content_digest(unlearn, gold, sections["evaluate"], *code), self._evaluate)
        self.stage("report", file_digest(self.path / "report.json"), self._report)

    # ---- the stages -------------------------------------------------------------------------------------------
    def _data(self) -> tuple[list[Path], dict[str, Any]]:
        data = self.prepared.data
        write_environment(self.path, self.config)
        facts = {"name": data.name, "digest": data.digest(), "parts": {part: len(ids) for part, ids in data.splits.items()}}
        return [self.path / "config.yaml", self.path / "environment.json"], facts

    def _request(self) -> tuple[list[Path], dict[str, Any]]:
        request = self.prepared.request
        file = write_text(self.path / "request.json", request.to_json())
        return [file], {"summary": request.summary(), "digest": request.digest()}

    def _original(self) -> tuple[list[Path], dict[str, Any]]:
        task, data, folder = self.prepared.task, self.prepared.data, self.path / "models" / "original"
        facts: dict[str, Any] = {}
        if self.prepared.trained is not None:
            edits = load_model_edits(self.config.model.folder)
            save_model(self.prepared.trained, folder, edits=edits)
        else:
            seed, total = self.config.seeds.original, task.recipe.epochs
            model = task.new_model(data, seed=seed)
            log = task.fit(model, data, seed=seed, callback=lambda epoch, loss: self.tell("original", epoch, total, loss=loss))
            save_model(model, folder)
            write_json(folder / "fit.json", log.facts())
            write_json(folder / "task.json", task.describe())
            facts = {"epochs": log.epochs, "best_epoch": log.best_epoch, "best_score": log.best_score}
        return _files(folder), facts

    def _load_original(self) -> tuple[nn.Module, FitLog | None]:
        folder = self.path / "models" / "original"
        model, _ = load_model(folder, model=self.prepared.task.new_model(self.prepared.data, seed=0))
        return model.eval(), read_history(folder)

    def _unlearn(self) -> tuple[list[Path], dict[str, Any]]:
        model, history = self._load_original()
        task, data = self.prepared.task, self.prepared.data
        split = task.split(data, self.prepared.request)
        files: list[Path] = []
        for folder, method, seed in self._runs():
            result = method.unlearn(
                model,
                task,
                split,
                history=history,
                seed=seed,
                device=self.config.device,
                progress=lambda step, total, values, key=method.tags.key: (  # type: ignore[misc]
                    self.tell("unlearn", step, total, method=key, **values)
                ),
            )
            save_result(result, folder)
            files += _files(folder)
        return files, {"results": [folder.name for folder, _, _ in self._runs()]}

    def _runs(self) -> list[tuple[Path, Unlearner, int]]:
        """(folder, method, seed) of every result; the judged method first."""
        main, *others = self.prepared.methods
        models, first = self.path / "models", self.config.seeds.unlearn[0]
        found = [(models / f"unlearned-{main.tags.key}-{seed}", main, seed) for seed in dict.fromkeys(self.config.seeds.unlearn)]
        return found + [(models / f"compare{i}-{m.tags.key}-{first}", m, first) for i, m in enumerate(others)]

    def _cache_key(self) -> str | None:
        """Golds of a class whose source cannot be read are cached for this run folder alone."""
        key = self.config.evaluate.cache_key
        if key is None and model_key(self.prepared.task, self.prepared.data) is None:
            return str(self.path.resolve())
        return key

    def _gold(self) -> tuple[list[Path], dict[str, Any]]:
        task, data, count = self.prepared.task, self.prepared.data, self.config.evaluate.gold
        golds, _ = gold_models(
            task,
            task.split(data, self.prepared.request),
            count,
            cache_key=self._cache_key(),
            original_seed=self.config.seeds.original,
            progress=lambda number, total, how: self.tell("gold", number, total, how=how),
        )
        files: list[Path] = []
        for gold in golds:
            folder = self.path / "models" / f"gold-{gold.seed}"
            save_model(gold.model, folder)
            files += _files(folder)
        return files, {"seeds": [gold.seed for gold in golds], "from_cache": sum(gold.cached for gold in golds)}

    def _evaluate(self) -> tuple[list[Path], dict[str, Any]]:
        data, task = self.prepared.data, self.prepared.task
        results = [(method, load_result(folder, data, task, method=type(method))) for folder, method, _ in self._runs()]
        main = self.prepared.methods[0]
        report = self._judge([r for m, r in results if m is main])
        others = [r for m, r in results if m is not main]
        if others:
            report = merge(report, self._judge(others), results[0][1].label)
        report.meta["run"] = {"name": self.config.name, "config_digest": self.config.digest()}
        label = report.verdict.label if report.verdict else None
        return [write_text(self.path / "report.json", report.to_json())], {"verdict": label}

    def _judge(self, results: list[UnlearnResult]) -> Report:
        settings = self.config.evaluate
        return evaluate(
            results,
            gold=settings.gold,
            margin=settings.margin,
            tolerance=settings.tolerance,
            cache_key=self._cache_key(),
            original_seed=self.config.seeds.original,
            metrics=settings.metrics,
            attacks=settings.attacks,
        )

    def _report(self) -> tuple[list[Path], dict[str, Any]]:
        report = read_report(self.path)
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self._metrics(report)))
        render(report, self.path)
        files = [self.path / name for name in ("metrics.jsonl", "report.md", "report.html")]
        return files + sorted((self.path / "figures").glob("*.png")), {}

    def _metrics(self, report: Report) -> list[dict[str, Any]]:
        """Training curve, the methods' curves and every row of the report, one object per line."""
        lines: list[dict[str, Any]] = []
        _, log = self._load_original()
        if log is not None:
            lines += [{"stage": "original", "epoch": epoch, "score": score} for epoch, score in log.curve]
        for folder, method, seed in self._runs():
            record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            lines += [{"stage": "unlearn", "method": method.tags.key, "seed": seed, **point} for point in record["curve"]]
        return lines + [{"stage": "evaluate", **row} for row in report.to_dict()["rows"]]


def merge(report: Report, others: Report, label: str) -> Report:
    """The judged method's report with the rows of other methods; every method's verdict stands in ``meta["verdicts"]``."""
    verdicts = dict(others.meta.get("verdicts") or {})
    if others.verdict is not None:
        name = next(row.method for row in others.rows if row.role == "unlearned")
        verdicts = {name: {"label": others.verdict.label, "sentences": others.verdict.sentences}}
    if report.verdict is not None:
        verdicts = {label: {"label": report.verdict.label, "sentences": report.verdict.sentences}} | verdicts
    histograms = {
        subset: roles | {k: v for k, v in others.histograms.get(subset, {}).items() if k.startswith("unlearned")}
        for subset, roles in report.histograms.items()
    }
    meta = report.meta | {"methods": report.meta["methods"] + others.meta["methods"], "verdicts": verdicts}
    rows = report.rows + [row for row in others.rows if row.role == "unlearned"]
    return replace(report, rows=rows, meta=meta, histograms=histograms)


def render(report: Report, path: Path) -> Path:
    """Write ``report.{json,md,html}`` and, where matplotlib is installed, ``figures/``."""
    from importlib.util import find_spec

    return report.save(path, figures=find_spec("matplotlib") is not None)


def load_model_edits(folder: str | None) -> tuple[Any, ...]:
    """Operators in a given model folder; none for bare weights."""
    from graphforget.pipeline.results import load_edits

    return load_edits(Path(folder)) if folder is not None else ()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def code_of(component: Any) -> list[str]:
    """The source of a component that is not ours, as the module that defines it; nothing for ours, or where there is none.

    A stage is done again when code of others changed; ours has a version.
    """
    while isinstance(component, partial):
        component = component.func
    name = getattr(component, "__module__", None) or type(component).__module__
    if name.partition(".")[0] == "graphforget":
        return []
    try:
        return [inspect.getsource(sys.modules[name])]
    except (KeyError, OSError, TypeError):
        return []


def _versions() -> str:
    from graphforget.version import __version__

    return f"graphforget {__version__}, torch {torch.__version__}"
