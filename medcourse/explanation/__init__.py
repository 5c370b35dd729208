"""Which pixels a network used: activation maps, and how good they are."""
