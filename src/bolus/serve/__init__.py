"""The local page: results to look at and outline, reading studies to read.

Only `bolus.serve.app` and `bolus.serve.server` are imported before the first answer; what computes
is loaded when it is asked for, so that the page opens at once.
"""
