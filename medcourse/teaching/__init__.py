"""Lessons: one source becomes notebooks, whose checks are tried on wrong answers."""
