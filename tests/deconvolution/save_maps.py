"""``python save_maps.py FILE`` keeps every method's maps: what `test_contract` compares between
processes."""

from __future__ import annotations

import sys

import numpy as np
from known_tissue import EVERY_METHOD, everything, slab, solve

if __name__ == "__main__":
    # enough voxels for two threads to have several parts each
    large = slab(slices=2, size=34)
    maps = {method: everything(solve(method, large)) for method in EVERY_METHOD}
    np.savez(sys.argv[1], **{f"{m} {name}": v for m in maps for name, v in maps[m].items()})
