"""The command `plada budget`: its options, tables and plot."""
