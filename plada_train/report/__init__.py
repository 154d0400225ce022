"""The report of a run: one HTML page that shows the payload, the accuracies, and the reasons for its choice of images.

- `run_report.py`: the file report.json.
- `model.py`: the content of a page, in plain values.
- `folder.py`: reads the files of a run; `describe.py`: sentences about them.
- `gather.py`: fills the content from a folder.
- `page.py`: renders it as HTML, with `plada_train.charts`.
"""
