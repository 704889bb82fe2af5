"""Enhancement of tissue over time, and the noise filter."""
