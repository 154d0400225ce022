"""The option `--batch` of the plain decoders: one process answers many requests, until its standard input ends.

    request: u32 length of the options, the options, u32 length of the input, the input
    answer:  u32 length of what follows, then `+` and the output, or `-` and the kind and the rule of the error

Numbers are little-endian. Options are lines NAME=VALUE in ASCII, and stand for arguments: `max_kept=5` for
`--max-kept=5`. This is the protocol of `plada conformance --batch`.
"""

import sys
from collections.abc import Callable


def answer_requests(answer: Callable[[bytes, list[str]], bytes]) -> None:
    """Write what `answer` makes of the input and the arguments of each request."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while size := requests.read(4):
        options = requests.read(int.from_bytes(size, "little")).decode("ascii")
        data = requests.read(int.from_bytes(requests.read(4), "little"))
        named = (option.split("=") for option in options.splitlines())
        answered = answer(data, [f"--{name.replace('_', '-')}={value}" for name, value in named])
        answers.write(len(answered).to_bytes(4, "little") + answered)
        answers.flush()
