"""Selection: which images are kept, and the payload that carries them.

registry.py, rule.py          the selection rules; each has a file of its own, such as safety_net.py
ranking.py, counts.py         orders of images by their scores; numbers of images
optional_sections.py          what a payload carries besides indices and labels
soft_labels_and_weights.py    the content of two of these sections
payloads.py                   the payload of a selection
"""
