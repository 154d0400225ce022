"""The planner: from a budget of bytes to the payload that teaches most.

    candidates.py  what can be chosen, and in which order it is tried
    proxies.py     small networks that stand for the students;  judging.py: what they say of the teacher's labels
    images.py      images at low resolution, decoded once
    workers.py     processes that measure candidates
    search.py      successive halving, in a given time
    plan.py        all of it;  outcome.py: what it writes

What each candidate is worth is measured on images of the target that its teacher has not seen.
"""
