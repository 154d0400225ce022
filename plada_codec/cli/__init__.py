"""The command line `plada`, a file for each group of commands. Nothing else imports it, but that of plada_train."""
