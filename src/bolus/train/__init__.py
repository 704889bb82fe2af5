"""Training of networks: an index and a split to checkpoints, a model card and `model.onnx`."""
