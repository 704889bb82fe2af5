"""The report: one HTML file to read, print or send."""
