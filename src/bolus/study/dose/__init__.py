"""The effect of fewer frames and lower dose."""
