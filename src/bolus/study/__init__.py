"""Studies: what fewer frames and a lower dose cost, what raters see, how far two results agree.

Like all that estimates, nothing in here may import the simulator.
"""
