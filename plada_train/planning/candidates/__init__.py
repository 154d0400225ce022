"""The candidates of the planner: `axes.py` is the registry of the ways in which they differ; `grid.py` orders them."""
