"""The command line `plada-train`. Nothing else imports it."""
