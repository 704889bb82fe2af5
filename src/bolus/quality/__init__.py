"""Whether an exam can be trusted: checks of the exam and the verdict on it."""
