"""The codec and the plain decoder: both must accept an input with the same result, or refuse it by the same rule."""

from __future__ import annotations

import sys

from fuzz.paths import ROOT
from plada_codec import Limits, PladaError, decode

sys.path.insert(0, str(ROOT / "spec" / "decoder"))
import plada_decode as oracle

#: Low limits, so that a large number in a header costs no time.
LIMITS = {"max_kept": 5_000, "max_soft_label_values": 20_000}


def disagreement(blob: bytes) -> str | None:
    """Describe the difference of codec and plain decoder on `blob`; None if they agree."""
    try:
        payload = decode(blob, Limits(**LIMITS))
        codes = [None if array is None else array.tolist() for array in (payload.soft_labels, payload.weights)]
        ours: object = (
            payload.indices.tolist(),
            payload.labels.tolist(),
            payload.class_names,
            *codes,
            payload.class_check,
        )
    except PladaError as error:
        ours = (error.kind, error.rule)
    except Exception as error:
        return f"the codec raised {error!r}"
    try:
        decoded = oracle.decode(blob, oracle.Limits(**LIMITS))
        names = None if decoded.class_names is None else tuple(decoded.class_names)
        codes = [decoded.soft_labels, decoded.weights]
        theirs: object = (decoded.indices, decoded.labels, names, *codes, decoded.class_check)
    except oracle.DecodeError as error:
        theirs = (error.kind, error.rule)
    except Exception as error:
        return f"the plain decoder raised {error!r}"
    return None if ours == theirs else f"codec {str(ours)[:60]}, plain decoder {str(theirs)[:60]}"
