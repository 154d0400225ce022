"""Delivering an object over a lossy link: frames, time and energy of each strategy (spec/link-budget.md section 5)."""
