"""The training of classifiers, which can be interrupted and continued, and of proxies."""
