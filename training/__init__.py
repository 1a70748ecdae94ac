"""Training: jobs are declarations; what they publish serves without code of its own.

jobs/ → data/ → fit → calibration → evaluate → export → golden → serving → gates → publish; report/ says how it went. `run` is that list in code.
"""
