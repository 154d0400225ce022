"""Images for training: the target's with labels, the reference set's with those of a payload, and batches of them."""
