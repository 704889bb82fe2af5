"""Enhancement of tissue over time, and the filter that takes noise from it."""
