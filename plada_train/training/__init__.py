"""The training of a classifier, of which an interrupted one goes on."""
