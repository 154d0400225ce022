"""Ask how many bytes fit a link and a time, and compare the delivery strategies for one file."""

from plada_codec import Conditions, IndependentLoss, link, max_bytes
from plada_codec.links.budgets.budget import budget

modem = link("uwm-5k")
at_3_km = Conditions(distance_m=3_000, loss=IndependentLoss(0.1))
for within_s in (20, 60, 300):
    print(f"{modem.name}: {max_bytes(modem, within_s, at_3_km):,} bytes arrive within {within_s} s")

print("5,000 bytes, 10% of the frames lost:")
for strategy in ("one-way", "nack", "stop-and-wait"):
    conditions = Conditions(distance_m=3_000, loss=IndependentLoss(0.1), strategy=strategy)
    delivery = budget(5_000, modem, conditions).delivery
    print(f"  {strategy}: {delivery.wall_p99_s:.1f} s with a probability of 99%")
