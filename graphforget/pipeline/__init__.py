"""Recipes, run folders and saved results: the same pieces as the three calls, from a file."""

from graphforget.pipeline.catalogue import list_components
from graphforget.pipeline.components import find_data
from graphforget.pipeline.config import RunConfig, load_config
from graphforget.pipeline.files import read_data
from graphforget.pipeline.folder import STAGES, RunFolder, read_report
from graphforget.pipeline.interaction_files import write_interactions
from graphforget.pipeline.results import load_result, save_result
from graphforget.pipeline.run import render, run
from graphforget.pipeline.serving import load_served, suspend_saved

__all__ = [
    "STAGES",
    "RunConfig",
    "RunFolder",
    "find_data",
    "list_components",
    "load_config",
    "load_result",
    "load_served",
    "read_data",
    "read_report",
    "render",
    "run",
    "save_result",
    "suspend_saved",
    "write_interactions",
]
