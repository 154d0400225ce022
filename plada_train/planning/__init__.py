"""The planner: finds the payload that teaches most within a budget of bytes.

- `plan.py`: the whole of it; `plan_folder.py`: the files that it writes; `plan_file.py`: plan.json.
- `candidates/`: the selections to try, their order, and the registry of the ways in which they differ.
- `label_loss.py`: how well proxies confirm the teacher's labels.
- `search.py`: successive halving, within a time limit; `measurements.py`: the measurements that it keeps.
- `workers.py`: the processes that measure candidates.

Candidates are measured on images of the target that the teacher has not seen.
"""
