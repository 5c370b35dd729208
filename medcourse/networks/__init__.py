"""The networks, and the ways to look into one from outside."""
