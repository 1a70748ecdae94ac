"""The jobs, one file each. A job is added by writing its file and its row here."""

from training.job import Job
from training.jobs.digits import DIGITS
from training.jobs.ecg_gru import ECG_GRU
from training.jobs.ecg_lstm import ECG_LSTM

JOBS: dict[str, Job] = {job.name: job for job in (DIGITS, ECG_LSTM, ECG_GRU)}
