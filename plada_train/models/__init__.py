"""Classifiers: timm models with their weights, their forward pass, and their export."""
