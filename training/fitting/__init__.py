"""Fitting: a plan, what it reads, and a loop that goes on where a killed one stopped. `fit.fit` is the way in."""
