"""Reports: a long table of measurements, a verdict, and the forms people read. Never a model."""

from __future__ import annotations

from graphforget.reporting.records import Check, Row, Verdict
from graphforget.reporting.report import Report

__all__ = ["Check", "Report", "Row", "Verdict"]
