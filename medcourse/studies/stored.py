"""Rows that a study or a benchmark has left behind, for lessons that cannot train so much themselves."""

from pathlib import Path

import pandas as pd

from medcourse.arguments import one_of


def stored_results(name: str) -> pd.DataFrame:
    """A table of ``benchmarks/results``, as it was committed: a study's runs, or what a benchmark measured.

    Args:
        name: file name without its end, such as "chest-resampling". An installed package brings only those that lessons read.

    Returns:
        DataFrame; numbers are as they were stored. The studies' columns: study, arm, seed, split, metric, value, size (pixels),
        epochs, device, torch, seconds.

    Raises:
        ArgumentError: no table of this name; names those there are.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "results"
    folder = inside if inside.exists() else package.parent / "benchmarks" / "results"
    tables = {path.name.removesuffix(".gz").removesuffix(".csv"): path for path in sorted(folder.glob("*.csv*"))}
    return pd.read_csv(tables[one_of("name", name, tables)])
