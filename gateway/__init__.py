"""The gateway: authenticates, prepares medical data, and routes between models and versions.

A request's path reads top to bottom as the names of the files here:

    rpc/ → authenticate → authorize → admission → routing → preprocess/ → backend/ → postprocess/ → audit → rpc/

`pipeline.py` is that list in code; `server.py` puts the pieces together; `settings.py` alone reads the environment.
"""
