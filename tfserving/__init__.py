"""The part of the TensorFlow Serving wire format that the gateway speaks."""
