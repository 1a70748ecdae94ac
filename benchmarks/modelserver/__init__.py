"""What the embedded model server costs: `python -m benchmarks.modelserver.speed`, `.copies`, `.start`, `.publish`."""
