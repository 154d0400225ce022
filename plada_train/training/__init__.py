"""The training of classifiers, which continues after an interruption, and of proxies."""
