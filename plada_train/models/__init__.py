"""Classifiers: timm models with their weights, what they answer, and files of them for other runtimes."""
