"""PLADA end to end: a teacher labels a reference set, a payload says the surest labels, a student learns from it.

    recipe.py     how a classifier is made, as plain values
    data.py       images of a source by number, decoded and transformed; batches;  pixels.py: held in memory
    models.py     timm models, their weights and checkpoints;  export.py: for other runtimes
    targets.py    what is learned of an image: its class, or soft labels
    training.py   the training loop;  checkpoints.py: its state on disk;  distributed.py: several processes
    inference.py  logits, predicted classes and features of a model
    scores.py     label, energy and entropy of each reference image;  score_shards.py: on disk;  labelling.py: made
    selection.py  which labels are sent;  variants.py: what else is
    planning/     the planner: which selection teaches most within a budget of bytes
    stages.py     teacher, score, select and student, on objects;  run.py: one after the other
    report/       a run as one HTML page;  summary.py: as a table;  versions.py: of all that it depends on
    leakage.py    images of the target that are in the reference set too
    cli.py        the same as commands, on files;  cli_plan.py, cli_options.py
    demo.py       all of it on handwritten digits

The formulas are those of the paper (arXiv 2602.23358). Needs the extra `train`; importing this package does not.
"""
