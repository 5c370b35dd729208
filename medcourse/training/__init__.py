"""The training loop: from a cohort and a model to a run and its predictions."""
