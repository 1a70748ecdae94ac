"""Heartbeats: which of five classes one beat of an electrocardiogram belongs to, by three layers of LSTM."""

from training.jobs import heartbeat

ECG_LSTM = heartbeat.job("LSTM", least=0.93)
