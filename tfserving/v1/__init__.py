"""Generated from proto/tfserving/v1: `make gen`."""
