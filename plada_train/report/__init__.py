"""A run as one page for people: what it sent, what that taught, and why.

    contents.py  what a page shows, in plain values
    gather.py    found in a folder: folder.py its files;  points.py, words.py: what they say
    page.py      as HTML;  charts.py: its pictures

What a folder has not, the page names.
"""
