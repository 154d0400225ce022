"""Selection: which images are sent, and with what beside their labels."""
