"""Airtime models: the time that a packet is on the air. Each model is a file, and a row of `registry`."""
