"""Rare classes: weights, losses, samplers and resampling."""
