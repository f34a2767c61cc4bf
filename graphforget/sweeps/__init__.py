"""Sweeps: the product of data, models, requests, methods and seeds, with tables; resumable cell by cell."""

from graphforget.sweeps.config import SweepConfig, load_grid
from graphforget.sweeps.records import read_records
from graphforget.sweeps.run import Sweep, sweep

__all__ = ["Sweep", "SweepConfig", "load_grid", "read_records", "sweep"]
