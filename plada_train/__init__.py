"""PLADA end to end: a teacher labels a reference set, a payload carries the best labels, a student learns from them.

The rooms, in the order in which they may import each other:

    recipe.py     how a classifier is made and how a payload is planned, as plain values
    data/         images of a source by number, decoded and transformed; batches of them
    models/       timm models: weights, checkpoint files, logits, ONNX
    training/     the training loop, its targets, and its state on disk
    scores/       the teacher's label of each reference image, and how sure the teacher is
    selection/    which labels are sent, and what beside them
    charts/       charts as SVG
    planning/     the planner: which selection teaches most within a budget of bytes
    report/       a run as one HTML page
    stages.py     teacher, score, select and student, on objects
    pipeline.py   all stages, one after the other
    cli/          the same as commands, on files

The formulas are those of the paper (arXiv 2602.23358). Needs the extra `train`; importing this package does not.
"""
