"""The whole method without torch: teacher and student are scikit-learn models of different kinds.

A client needs a decoder and its own copy of the reference set; the payload does not say how it trains. Needs
scikit-learn, which the extra `train` brings.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from plada_codec import Payload, decode, encode

pixels, classes = load_digits(return_X_y=True)
pixels = pixels / 16
order = np.random.default_rng(0).permutation(len(pixels))
reference, train, test = np.split(order, [900, 1_500])

# The server: a teacher labels the reference set, and the surest half of the labels is sent.
teacher = MLPClassifier((64,), max_iter=1_000, random_state=0).fit(pixels[train], classes[train])
probabilities = teacher.predict_proba(pixels[reference])
kept = np.sort(np.argsort(-probabilities.max(axis=1), kind="stable")[:450])
payload = Payload(kept, probabilities.argmax(axis=1)[kept], reference_size=len(reference), num_classes=10)
blob = encode(payload)

# The client: the same reference set, another model.
received = decode(blob)
student = LogisticRegression(max_iter=1_000).fit(pixels[reference][received.indices], received.labels)

print(f"teacher {teacher.score(pixels[test], classes[test]):.1%}, payload {len(blob)} bytes")
accuracy = student.score(pixels[test], classes[test])
print(f"student {accuracy:.1%}, from {received.kept} labels")
assert accuracy > 0.85
