"""The command line `plada`: a file for each group of commands. Only `plada_train.cli` imports it."""
