"""Phantoms: drawn stand-ins with known truth, for machines that reach no data, and for lessons that set a cause."""
