"""Send a file over a link that loses 40% of its frames in bursts, flips bits and reorders; no answer is needed."""

import random

from plada_codec import BurstyLoss, Reassembler, Sender, carousel
from plada_codec.frames import Reception
from plada_codec.testing.channel import channel

sent = random.Random(0).randbytes(2_000)
sender = Sender(sent, frame_bytes=64)
receiver = Reassembler()
air = channel(carousel(sender), loss=BurstyLoss(0.4, 5), flip_rate=1e-4, duplicate_rate=0.1, reorder_frames=20, seed=7)
for frame in air:  # without end: the receiver stops when it has enough
    if receiver.add(frame) is Reception.COMPLETE:
        break

assert receiver.result() == sent
print(f"{len(sent)} bytes are back, from {sender.layout.symbols} symbols and a few more")
print(", ".join(f"{count} frames {reception}" for reception, count in sorted(receiver.counts.items())))
