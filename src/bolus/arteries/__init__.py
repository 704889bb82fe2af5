"""The arterial input and the venous output function: candidates, scores, confidence, scaling."""
