"""The local web viewer: results to view and outline, reading studies to read.

Only `bolus.serve.app` and `bolus.serve.server` are imported before the first answer; numerical code
is loaded on demand, so that the page opens at once.
"""
