"""Our own planted DICOM corpus and its scorer: a judge of de-identification that knows nothing of how the engine works.

`python -m tests.corpus make OUT` writes cases of generated people with a key of what was planted where,
`deidentify` runs the real command on each case and `score` tells what was left behind and what was lost.
The counts follow section 1 of the requirements: a refused file passes removals and fails retentions.
"""
