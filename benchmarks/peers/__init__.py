"""bolus and other open software on the same curves, in the same run."""
