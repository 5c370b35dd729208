"""How good predictions are: metrics with intervals, thresholds, comparisons."""
