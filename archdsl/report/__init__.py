"""What a trained network looks like: filters, feature maps, activations, mistakes, and the report of a run."""

from archdsl.report.figures import PICTURES, draw, save
from archdsl.report.page import report_of_run, write_report

__all__ = ["PICTURES", "draw", "report_of_run", "save", "write_report"]
