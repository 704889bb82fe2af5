"""Curves to maps by a network that needs no arterial input."""
