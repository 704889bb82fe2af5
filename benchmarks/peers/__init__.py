"""bolus and its open peers on the same curves, in the same run."""
