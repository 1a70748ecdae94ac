"""TensorFlow Serving's REST API: JSON in, a call of the same API that gRPC answers from, JSON out.

server → handler → route; and for a body: json_text → tensors or examples → Api → json_reply
"""
