"""Labelled images and batches of them, for training and tests."""
