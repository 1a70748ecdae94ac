"""Generated from proto/medserve/v1: `make gen`."""
