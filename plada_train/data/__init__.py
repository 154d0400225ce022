"""Images for training and batches of them: the target's with their labels, the reference set's with a payload's."""
