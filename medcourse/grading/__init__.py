"""Graded work: notebooks are handed out, and what comes back is graded in processes that can do no harm."""
