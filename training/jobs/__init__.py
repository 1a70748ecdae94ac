"""The jobs, one file each. A job is added by writing its file and its row here."""

from training.job import Job
from training.jobs.bleeding import BLEEDING
from training.jobs.digits import DIGITS
from training.jobs.ecg_gru import ECG_GRU
from training.jobs.ecg_lstm import ECG_LSTM
from training.jobs.hiv_treatment import HIV_TREATMENT
from training.jobs.mortality import MORTALITY
from training.jobs.tumour import TUMOUR

JOBS: dict[str, Job] = {job.name: job for job in (DIGITS, ECG_LSTM, ECG_GRU, BLEEDING, MORTALITY, HIV_TREATMENT, TUMOUR)}
