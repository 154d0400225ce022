"""Delivery of an object over a lossy link. Each strategy is a file, and a row of `registry`."""
