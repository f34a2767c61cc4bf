"""Ours: rows put back in proportion, then a contrast with matched others, stopped by pairs that were never trained on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget import seed as seeds
from graphforget.base import Outcome, Run, Tags, Unlearner, rows_by_parameter
from graphforget.base.capabilities import entity_rows
from graphforget.interactions import Interactions
from graphforget.requests import ForgetSplit
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET
from graphforget.unlearners.recommendation._shared.contrast import Score, pair_scorer, stratified_difference
from graphforget.unlearners.recommendation._shared.contrast_case import OTHERS, Returning, returning
from graphforget.unlearners.recommendation._shared.rows import entities, fresh_tables, manifest

KINDS = ("item", "user", "interaction")
NO_CONTRAST = "no training interaction goes, so there is no pair to contrast: what training added to the content is put back"
_GROWTH = 1.1  # of the steps' length: how far it is to the target is not known beforehand
_HALVINGS = 5  # of the last step, when it went below the target
_CHANCE = 0.5


class GraphForgetRec(Unlearner):
    r"""Forget until removed pairs stand out no more than pairs that the model was never trained on.

    1. *Surgery*. The data side is ``row_reset``'s. Every row moves towards its fresh value by the share of its training
       interactions that goes: rows of the users and items that the request names all the way, a user's row by a half where half
       of what they took is forgotten. Who took little besides the forgotten has a row that is mostly about it.
       Where an item loses one modality, what training added to its features goes; as no pair goes, nothing else follows.
    2. *Contrast*. A forgotten item is read as a returning one: retained interactions, its content, a fresh row. What the rows of
       others remember shows in how often a removed pair (u, i) outranks (v, i), v being a user of about u's retained activity who
       never took i: its advantage, 0.5 at chance. Full-batch gradient steps descend

       .. math:: \operatorname{mean} \, \ln \sigma \bigl( s(u, i) - s(v, i) \bigr)

       They change the rows of those who remember: users for a forgotten item, whose own row is put back and stays fixed. The
       gradient is scaled as a whole, so rows move in proportion to what they remember, and items keep their neighbourhoods. For
       a removed interaction both rows stand and may move, and the data are the retained ones. For a forgotten user the two
       sides change roles: the user returns with half of what they took, and the other half is compared with items about as
       popular.
    3. *Stop*. Removed pairs and unseen pairs of the same items were held apart by the split alone, so for a model that trained on
       neither both have the same advantage: above chance, as content foretells some of it. That level is measured after surgery,
       before any step, on a private copy where a share of the retained items (users, interactions) is forgotten along with the
       requested ones, which gives many unseen pairs. Removed and unseen pairs are compared within items, so that items whose
       content foretells more than others' do not matter. Steps end when the removed pairs' advantage is at that level; the last
       one is shortened so that it never ends below. Retrained models, test pairs and forget scores are never read.

    Unseen pairs are canaries (:func:`~graphforget.interactions.with_canaries`) and validation pairs, the latter alone for a model
    that was trained without canaries; ``info["item"]["calibrated_on"]`` says which. Without either the target is chance. Where
    nothing shows (a fresh row without content or links scores at random), no step is made. ``info["touched"]`` counts what was
    touched, as ``row_reset`` does.

    Args:
        steps: Most contrast steps; 0 leaves it at surgery.
        lr: Length of the first step: how far the entries of takers' rows move (root mean square); every further step is a tenth
            longer. None is the recipe's.
        controls: Share of the items (users, interactions) that the calibration forgets, the requested ones included.
        proportional: Whether rows move by the share of their training that goes; else only requested rows are put back.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("graphforget_rec", "interactions")
        >>> facts = result.info["interaction"]
        >>> facts["advantage_before"] >= facts["advantage_after"]
        True
    """

    tags: ClassVar[Tags] = Tags(
        key="graphforget_rec",
        summary="Fresh rows, then a contrast that stops at unseen pairs.",
        citation="graphforget",
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original", "retained", "unlinked"}),
        needs_entity_rows=True,
        needs_modality_rows=True,
        forgotten_rows="reset",
    )

    def __init__(self, *, steps: int = 100, lr: float | None = None, controls: float = 0.25, proportional: bool = True) -> None:
        check_count("steps", steps)
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_number("controls", controls, low=0, high=0.5)
        self.steps, self.lr, self.controls, self.proportional = steps, lr, controls, proportional

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Few steps, and surgery alone."""
        return [{"steps": 20}, {"steps": 0}]

    def _unlearn(self, run: Run) -> Outcome:
        split, fresh = run.split, fresh_tables(run)
        named = entities(split, "requested")
        moved = self._operate(run.model, split.data, split.removed, named, fresh)
        info: dict[str, Any] = {"touched": manifest(run, moved)}
        if not len(split.removed):
            return Outcome(info={**info, "note": NO_CONTRAST if len(split.altered) else NOTHING_TO_FORGET})
        for kind in KINDS if self.steps else ():
            facts = self._forget(run, kind, named, fresh)
            info |= {kind: facts} if facts else {}
        return Outcome(info=info)

    # ---- rows ---------------------------------------------------------------------------------------------
    def _operate(
        self, model: nn.Module, before: Interactions, gone: Tensor, named: Mapping[str, Tensor], fresh: Mapping[str, Tensor]
    ) -> dict[str, int]:
        """Move every row towards its fresh value by the share of its training that goes; rows of ``named`` all the way.

        Of items that lose a modality only the rows of that modality are among these.
        """
        tables: dict[str, Tensor] = dict(model.named_parameters())
        moved: dict[str, int] = {}
        train = before.part("train")
        for side, (kind, size) in enumerate((("user", before.num_users), ("item", before.num_items))):
            count, lost = (torch.bincount(pairs[:, side], minlength=size) for pairs in (train, gone))
            share = lost / count.clamp(min=1) if self.proportional else torch.zeros(size)
            share = share.index_fill(0, named[kind], 1.0)
            for block in entity_rows(model).get(kind, ()):
                own = share
                if block.modality is not None:
                    own = share.index_fill(0, named.get(f"modality:{block.modality}", train[:0, side]), 1.0)
                which = own.nonzero().view(-1)
                if not len(which):
                    continue
                table, start = tables[block.parameter], fresh[block.parameter]
                rows = (block.offset + block.stride * which).to(table.device)
                part = own[which].to(table).view(-1, *[1] * (table.dim() - 1))
                with torch.no_grad():
                    table[rows] = torch.lerp(table[rows], start[rows], part)
                moved[block.parameter] = moved.get(block.parameter, 0) + len(rows)
        return moved

    # ---- contrast -----------------------------------------------------------------------------------------
    def _forget(self, run: Run, kind: str, named: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Any]:
        """Find the target, then descend to it; empty where the request removed no pair in this way."""
        split, generator = run.split, seeds.generator(seeds.derive(run.seed, "contrast", kind))
        real = returning(kind, split, split.removed, named, generator)
        if real is None:
            return {}
        extra, wide = self._controls(split, kind, named, generator)
        gone = torch.cat([split.removed, extra])
        trial = returning(kind, split, gone, wide, generator)
        facts: dict[str, Any] = {"controls": len(extra), "unseen_pairs": 0 if trial is None else len(trial.unseen)}
        target = _CHANCE
        if trial is None or not len(trial.unseen):
            facts |= {"calibrated_on": "chance", "note": f"no canary or validation pair is left: the target is chance, {_CHANCE}"}
        else:
            facts["calibrated_on"] = trial.unseen_are
            model = copy.deepcopy(run.original)
            self._operate(model, split.data, gone, wide, fresh)
            target = max(_unseen_level(run, model, trial), _CHANCE)
        return {**facts, "target": target, **self._descend(run, real, target, fresh)}

    def _controls(
        self, split: ForgetSplit, kind: str, named: Mapping[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Retained pairs that the calibration forgets as well, and all users and items that it forgets, by kind."""
        retain, wide = split.retain, dict(named)
        if kind == "interaction":
            count = max(int(self.controls * len(split.data.part("train"))) - len(split.removed), 0)
            return retain[torch.randperm(len(retain), generator=generator)[:count]], wide
        side = 0 if kind == "user" else 1
        ids = torch.unique(retain[:, side])
        count = max(int(self.controls * len(ids)) - len(named[kind]), 0)
        chosen = ids[torch.randperm(len(ids), generator=generator)[:count]]
        wide[kind] = torch.cat([named[kind], chosen])
        return retain[torch.isin(retain[:, side], chosen)], wide

    def _descend(self, run: Run, case: Returning, target: float, fresh: Mapping[str, Tensor]) -> dict[str, Any]:
        """Steps until the removed pairs' advantage is the target; the last one is shortened so that it ends above."""
        run.model.eval()
        tables, step = self._tables(run.model, case, fresh), 0
        score = pair_scorer(run.task, run.model, case.data)
        each = case.members.advantages(score)
        first = now = float(each.mean())
        # Within two standard errors of chance nothing is told from the noise of a fresh row.
        steps = self.steps if tables and now - _CHANCE > 2 * _standard_error(each, case.members.kept) else 0
        length = run.task.recipe.lr if self.lr is None else self.lr
        while now > target and step < steps:
            run.record(step, steps, advantage=now, target=target)
            start, last = {name: table.detach().clone() for name, table in tables.items()}, now
            _step(tables, run.model, case, score, step, length * _GROWTH**step)
            score, step = pair_scorer(run.task, run.model, case.data), step + 1
            now = float(case.members.advantages(score).mean())
            if now < target:
                now = _shorten(run, case, tables, start, last, target)
                break
        run.record(step, steps, advantage=now, target=target)
        return {"pairs": len(case.members), "steps": step, "advantage_before": first, "advantage_after": now}

    def _tables(self, model: nn.Module, case: Returning, fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the steps change: own vectors of those who remember, not those of corrections to content (they start at zero)."""
        blocks = entity_rows(model)
        names = {block.parameter for kind in case.remember for block in blocks.get(kind, ())}
        tables: dict[str, Tensor] = dict(model.named_parameters())
        return {name: tables[name] for name, start in fresh.items() if name in names and bool(start.any())}


def _unseen_level(run: Run, model: nn.Module, case: Returning) -> float:
    """The advantage that the removed pairs would have if they stood out no more than unseen pairs of the same items."""
    model.eval()
    score = pair_scorer(run.task, model, case.data)
    member, unseen = case.members.advantages(score), case.unseen.advantages(score)
    return float(member.mean()) - stratified_difference(member, case.members.kept, unseen, case.unseen.kept)


def _standard_error(values: Tensor, group: Tensor) -> float:
    """Of a mean of values that are alike within groups (one item's pairs share a row)."""
    rest = values - values.mean()
    return float(torch.zeros(int(group.max()) + 1, dtype=rest.dtype).index_add(0, group, rest).norm()) / len(values)


def _step(tables: Mapping[str, Tensor], model: nn.Module, case: Returning, score: Score, step: int, length: float) -> None:
    """One step down the removed pairs' log-likelihood of standing out; rows that were put back stay as they are.

    The gradient is scaled as a whole, so that rows move in proportion to what they remember: entries of the pairs' own rows by
    ``length`` in the root mean square.
    """
    loss = F.logsigmoid(case.pushed.margins(score, step % OTHERS)).mean()
    found = torch.autograd.grad(loss, list(tables.values()), allow_unused=True, materialize_grads=True)
    grads = dict(zip(tables, found, strict=True))
    for name, rows in rows_by_parameter(model, case.named).items():
        if name in grads:
            grads[name][rows.to(grads[name].device)] = 0.0
    ends = {kind: torch.unique(case.pushed.pairs[:, side]) for side, kind in enumerate(("user", "item"))}
    own = rows_by_parameter(model, {kind: ends[kind] for kind in case.remember})
    size = torch.cat([grads[name][own[name].to(grads[name].device)].flatten() for name in grads]).square().mean().sqrt()
    if float(size) > 0:
        with torch.no_grad():
            for name, table in tables.items():
                table.sub_(grads[name], alpha=length / float(size))


def _shorten(
    run: Run, case: Returning, tables: Mapping[str, Tensor], start: Mapping[str, Tensor], last: float, target: float
) -> float:
    """Put ``tables`` at the farthest point tried on the way from ``start`` whose advantage is not below the target."""
    end = {name: table.detach().clone() for name, table in tables.items()}
    low, high, best = 0.0, 1.0, last
    for trial in range(_HALVINGS + 1):
        part = (low + high) / 2 if trial < _HALVINGS else low
        with torch.no_grad():
            for name, table in tables.items():
                table.copy_(torch.lerp(start[name], end[name], part))
        if trial < _HALVINGS:
            value = float(case.members.advantages(pair_scorer(run.task, run.model, case.data)).mean())
            low, high, best = (part, high, value) if value >= target else (low, part, best)
    return best
