"""Airtime models: how long a packet is on the air. Each model is a file, and a row of `registry`."""
