"""The model server: TensorFlow Serving, or the embedded one that speaks as it does. The wire is protobuf bytes; no TensorFlow here."""
