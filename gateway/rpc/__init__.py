"""The transport: converts messages, delegates to the pipeline, converts back. Only `boundary.py` ends a call with an error."""
