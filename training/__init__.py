"""Training: jobs are declarations; what they publish serves without code of its own.

jobs/ → data/ → fit → evaluate → export → publish
"""
