"""A reading study: raters outline core and penumbra on maps without knowing who made them.

::

    STUDY/study.json             seed, raters, methods, number of repeats
    STUDY/key.json               which reading is which exam and method; never shown to raters
    STUDY/raters.json            salted hashes of the raters' sign-in codes
    STUDY/images/CODE/           what a rater sees of one exam and method, and its geometry
    STUDY/worklists/RATER.json   readings in their order
    STUDY/readings/RATER/READING/outline.nii.gz, outline.dcm, reading.json

Nothing in here imports the simulator; simulated raters see ``images`` only, as people do.
"""
