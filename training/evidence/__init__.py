"""Figures on held-out data, each with an interval, and what a model's answers need to be read by."""
