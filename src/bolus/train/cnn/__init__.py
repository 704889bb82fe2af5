"""The network of `bolus run --method cnn`: its task, architecture, data and export."""
