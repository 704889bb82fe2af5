"""What is where in the slab: baseline image, brain mask, CSF, vessels."""
