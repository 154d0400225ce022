"""The stages of `plada-train` from Python, on scikit-learn's digits: teach, score, select, send, learn.

Needs the extra `train`. The settings are for speed: `make demo` trains longer, and plans the selection.
"""

import tempfile
from pathlib import Path

import torch

from plada_codec import open_images
from plada_train import stages
from plada_train.data.digits import write_digits
from plada_train.data.labelled import open_test_images, open_training_images
from plada_train.recipe import Recipe
from plada_train.selection.payloads import select
from plada_train.selection.safety_net import SafetyNet

torch.set_num_threads(1)  # threads cost more than they save on images this small
sources = write_digits(Path(tempfile.mkdtemp()))
recipe = Recipe(model="test_resnet", image_size=32, flip=False, batch_size=32, learning_rate=0.002, epochs=6)
train = open_training_images(sources["target-train"])
test = open_test_images(sources["target-test"], train.num_classes, train.class_names)

# The server.
teacher = stages.train_teacher(train, recipe)
scores = stages.score(teacher, open_images(sources["reference"]), recipe)
payload, blob = select(scores, max_bytes=300, rule=SafetyNet(alpha=0.0))
print(f"payload: {payload.kept} of {payload.reference_size} images in {len(blob)} bytes")

# The client: its own copy of the reference set, and the bytes.
received = stages.virtual_dataset(open_images(sources["reference"]), blob)
student = stages.train_student(received, recipe)
for name, classifier in (("teacher", teacher), ("student", student)):
    print(f"{name}: {test.accuracy(stages.predict(classifier, test, recipe)):.1%} of the test images")
