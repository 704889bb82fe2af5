"""From curves and an arterial input to perfusion maps: one module per method."""
