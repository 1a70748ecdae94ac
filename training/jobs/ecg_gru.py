"""Heartbeats: which of five classes one beat of an electrocardiogram belongs to, by three layers of GRU."""

from training.jobs import heartbeat

# The better of the two networks, by what was measured.
ECG_GRU = heartbeat.job("GRU", least=0.93)
