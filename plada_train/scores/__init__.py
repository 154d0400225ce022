"""Scores of the reference set: the teacher's label of each image, and how sure the teacher is."""
