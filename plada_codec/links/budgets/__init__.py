"""Budgets: what a delivery under given conditions costs (spec/link-budget.md section 6)."""
