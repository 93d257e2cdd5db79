"""Diagnostics for machines: JSON, SARIF, GitHub annotations, and one line each.

All take diagnostics in the order they are to appear and return text without a line end at the end.
"""

from .github_annotations import github
from .json_report import to_json
from .sarif_log import sarif
from .short_lines import short

__all__ = ["github", "sarif", "short", "to_json"]
