"""The training loop, schemes and losses, on one rank or many."""
