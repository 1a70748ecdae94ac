"""Heartbeats: which of five classes one beat of an electrocardiogram belongs to, by three layers of GRU."""

from training.jobs import heartbeat

ECG_GRU = heartbeat.job("GRU", least=0.92)
