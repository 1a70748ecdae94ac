"""The embedded model server: speaks TensorFlow Serving's gRPC API and reads its configuration, where there is no TensorFlow Serving.

__main__ → flags → server → config → source → manager → servable; and for a request: *_service → manager → servable → signature → tensor, batching
"""
