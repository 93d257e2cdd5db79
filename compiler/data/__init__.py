"""Rows: reading, probing, checking and splitting the data a program is tuned and scored on."""

from ..project.caches import FolderCache
from .checking import Findings, check, problems
from .collecting import load_rows
from .fetching import Fetcher, When, fetch
from .fingerprint import file_digest, fingerprint
from .looking import (
    AtOnce,
    BroughtQuestion,
    DataLooks,
    DataSeen,
    HistoryQuestion,
    IndexQuestion,
    LabelsQuestion,
    MediumQuestion,
    Question,
    RowsQuestion,
    TurnsQuestion,
)
from .probing import Column, Probe, probe
from .problem import DataError, DataProblem
from .report import Places, diagnose
from .rows import Example, Rows, rows_digest
from .splits import part, part_sizes, parts

__all__ = [
    "AtOnce",
    "BroughtQuestion",
    "Column",
    "DataError",
    "DataLooks",
    "DataProblem",
    "DataSeen",
    "Example",
    "Fetcher",
    "Findings",
    "FolderCache",
    "HistoryQuestion",
    "IndexQuestion",
    "LabelsQuestion",
    "MediumQuestion",
    "Places",
    "Probe",
    "Question",
    "Rows",
    "RowsQuestion",
    "TurnsQuestion",
    "When",
    "check",
    "diagnose",
    "fetch",
    "file_digest",
    "fingerprint",
    "load_rows",
    "part",
    "part_sizes",
    "parts",
    "probe",
    "problems",
    "rows_digest",
]
