"""One small file for each tool.

Each has ``NAME`` for the table and ``METHODS``: method name to the number of voxels it is given, 0
for all (slow ones get a subset).  ``maps(method, case)`` takes the fields ``time_s`` (N,),
``curves`` (V, N) and ``aif`` (N,) of a case and returns maps (V,): ``cbf`` in ml/100g/min, ``cbv``
in ml/100g, ``mtt`` and ``tmax`` in s.  The tool itself is imported inside `maps`.
"""
