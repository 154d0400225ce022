"""Tables of images and labels in any form: two columns come out, with the line of each row. It knows no payloads."""
