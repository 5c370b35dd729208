"""Plots and widgets of what the other rooms return."""
