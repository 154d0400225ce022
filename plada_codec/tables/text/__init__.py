"""Tables in text: delimited, or JSON."""
