"""Charts as SVG, for the page of a run and for the planner: `values.py` holds what `svg.py` draws."""
