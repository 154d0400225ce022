"""Charts as SVG, for the page of a run and for the planner. `svg.py` draws the values of `values.py`."""
