"""Networks that more than one job has."""
