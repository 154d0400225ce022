"""The candidates of the planner: `axes` is the registry of their differences, `grid` puts them in order."""
