"""Contracts only: Task, Unlearner, their results and records. No algorithm lives here."""

from graphforget.base.batch import Batch, Forward, Work, count_work, counting, row_ids, using_row_ids
from graphforget.base.capabilities import RowBlock
from graphforget.base.checkpoint import load_model, load_tensors, load_weights, save_model
from graphforget.base.data import Data, TensorData, content_digest, resolve_labels
from graphforget.base.edits import ModelEdit, Operator, insert, replay
from graphforget.base.history import FitLog, FitOptions, Recipe
from graphforget.base.model import (
    Ensemble,
    captured,
    device_of,
    evaluating,
    fresh_like,
    frozen_copy,
    restored_like,
    weights_digest,
)
from graphforget.base.result import Cost, Serving, UnlearnResult
from graphforget.base.rows import rows_by_parameter
from graphforget.base.tags import Tags
from graphforget.base.task import RegionOptions, Task
from graphforget.base.unlearner import Outcome, Prepared, Run, Unlearner

__all__ = [
    "Batch",
    "Cost",
    "Data",
    "Ensemble",
    "FitLog",
    "FitOptions",
    "Forward",
    "ModelEdit",
    "Operator",
    "Outcome",
    "Prepared",
    "Recipe",
    "RegionOptions",
    "RowBlock",
    "Run",
    "Serving",
    "Tags",
    "Task",
    "TensorData",
    "UnlearnResult",
    "Unlearner",
    "Work",
    "captured",
    "content_digest",
    "count_work",
    "counting",
    "device_of",
    "evaluating",
    "fresh_like",
    "frozen_copy",
    "insert",
    "load_model",
    "load_tensors",
    "load_weights",
    "replay",
    "resolve_labels",
    "restored_like",
    "row_ids",
    "rows_by_parameter",
    "save_model",
    "using_row_ids",
    "weights_digest",
]
