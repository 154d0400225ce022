"""PLADA end to end: a teacher labels a reference set, a payload says the surest labels, a student learns from it.

    data.py       images of a source by number, decoded and transformed; targets with their labels
    models.py     timm models, their weights and checkpoints
    training.py   training, features and logits of a model
    scores.py     label, energy and entropy of each reference image
    selection.py  which labels are sent
    stages.py     teacher, score, select and student, on objects;  run.py: one after the other
    cli.py        the same as commands, on files;  demo.py: all of it on handwritten digits

The formulas are those of the paper (arXiv 2602.23358). Needs the extra `train`; importing this package does not.
"""
