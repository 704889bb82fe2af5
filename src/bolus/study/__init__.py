"""Studies: effect of fewer frames and lower dose, reading studies, agreement of two results.

Like all estimation code, nothing in here may import the simulator.
"""
