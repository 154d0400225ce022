"""RaptorQ (RFC 6330) of one source block, to be read beside the RFC; the plain decoder of frames is built on it.

It keeps the RFC's names, and it solves the whole system of equations by Gaussian elimination, so that its time grows
with the cube of K: 300 symbols take 0.1 s, 1,000 take a few. It needs Python 3.11 and the standard library.

A block of K symbols is encoded from its intermediate symbols, and decoded by way of them:

>>> source = [b"any ", b"two ", b"will", b" do."]
>>> intermediate = intermediate_symbols(4, dict(enumerate(source)))
>>> received = {esi: encode(4, intermediate, esi) for esi in (1, 7, 1000, 99, 4)}
>>> b"".join(decode(4, received))
b'any two will do.'
"""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property

from rfc6330_tables import DEGREE_BOUNDS, SYSTEMATIC_INDICES, V

MAX_K = SYSTEMATIC_INDICES[-1][0]

# ---------------------------------------------------------------------------------------------------------
# 5.7. Octets: the field of 256 elements
# ---------------------------------------------------------------------------------------------------------


def times(a: int, b: int) -> int:
    """The product of two octets (5.7.2), by shifting and adding, modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 if a < 0x80 else a << 1 ^ 0x11D
        b >>= 1
    return product


@cache
def products(a: int) -> bytes:
    """The products a * 0 .. a * 255: the table by which `bytes.translate` multiplies many octets."""
    return bytes(times(a, b) for b in range(256))


@cache
def inverse(a: int) -> int:
    """The octet whose product with `a` is 1 (5.7.2)."""
    return products(a).index(1)


def add(a: bytes, b: bytes) -> bytes:
    """The sum of two strings of octets of one length, octet by octet (5.7.2)."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


# ---------------------------------------------------------------------------------------------------------
# 5.3.5. Generators
# ---------------------------------------------------------------------------------------------------------


def rand(y: int, i: int, m: int) -> int:
    """Rand[y, i, m] (5.3.5.1)."""
    value = 0
    for octet, table in enumerate(V):
        value ^= table[((y >> 8 * octet) + i) % 256]
    return value % m


def degree(v: int, w: int) -> int:
    """Deg[v] (5.3.5.2)."""
    return min(next(d for d, bound in enumerate(DEGREE_BOUNDS) if v < bound), w - 2)


def is_prime(n: int) -> bool:
    """By trial division."""
    return n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1))


# ---------------------------------------------------------------------------------------------------------
# 5.3.3. The code: parameters and equations
# ---------------------------------------------------------------------------------------------------------


class Code:
    """The parameters that the RFC derives from K (5.3.3.3, 5.6)."""

    def __init__(self, k: int) -> None:
        if not 1 <= k <= MAX_K:
            raise ValueError(f"{k} symbols, not 1 .. {MAX_K}")
        self.k = k
        self.k_prime, self.j, self.s, self.h, self.w = next(row for row in SYSTEMATIC_INDICES if row[0] >= k)
        self.l = self.k_prime + self.s + self.h
        self.p = self.l - self.w
        self.p1 = next(n for n in range(self.p, 2 * self.p) if is_prime(n))
        self.b = self.w - self.s

    def isi(self, esi: int) -> int:
        """The internal symbol id of an encoding symbol id: the padding symbols are never sent (5.3.1)."""
        return esi if esi < self.k else esi + self.k_prime - self.k

    def terms(self, x: int) -> Iterator[int]:
        """The numbers of the intermediate symbols whose sum is the symbol of ISI x (5.3.5.3, 5.3.5.4)."""
        y = (10_267 * (self.j + 1) + x * (53_591 + self.j * 997 | 1)) % 2**32
        d = degree(rand(y, 0, 2**20), self.w)
        a = 1 + rand(y, 1, self.w - 1)
        b = rand(y, 2, self.w)
        d1 = 2 + rand(x, 3, 2) if d < 4 else 2
        a1 = 1 + rand(x, 4, self.p1 - 1)
        b1 = rand(x, 5, self.p1)
        for _ in range(d):
            yield b
            b = (b + a) % self.w
        for _ in range(d1):
            while b1 >= self.p:
                b1 = (b1 + a1) % self.p1
            yield self.w + b1
            b1 = (b1 + a1) % self.p1

    def lt_row(self, x: int) -> bytes:
        """The coefficients of C[0] .. C[L - 1] in the equation of the symbol of ISI x (G_ENC of 5.3.3.4.2)."""
        row = bytearray(self.l)
        for term in self.terms(x):
            row[term] ^= 1
        return bytes(row)

    @cached_property
    def constraints(self) -> list[bytes]:
        """The coefficients of C[0] .. C[L - 1] in the S LDPC and the H HDPC equations, which are all 0 (5.3.3.3)."""
        ldpc = [bytearray(self.l) for _ in range(self.s)]
        for i in range(self.b):
            a, b = 1 + i // self.s, i % self.s
            for _ in range(3):
                ldpc[b][i] ^= 1
                b = (b + a) % self.s
        for i in range(self.s):
            ldpc[i][self.b + i] ^= 1
            ldpc[i][self.w + i % self.p] ^= 1
            ldpc[i][self.w + (i + 1) % self.p] ^= 1

        # MT * GAMMA column by column, from the right: GAMMA makes each 2 times the one behind it, plus that of MT.
        hdpc = [bytearray(self.l) for _ in range(self.h)]
        last = self.k_prime + self.s - 1
        coefficient = 1
        for i in range(self.h):
            hdpc[i][last + 1 + i] = 1
            hdpc[i][last] = coefficient
            coefficient = times(2, coefficient)
        for j in reversed(range(last)):
            first = rand(j + 1, 6, self.h)
            second = (first + rand(j + 1, 7, self.h - 1) + 1) % self.h
            for i in range(self.h):
                hdpc[i][j] = times(2, hdpc[i][j + 1]) ^ (i in (first, second))
        return [bytes(row) for row in ldpc + hdpc]


@cache
def code(k: int) -> Code:
    """The code of K symbols, derived once."""
    return Code(k)


# ---------------------------------------------------------------------------------------------------------
# 5.3.4, 5.4. Encoding and decoding
# ---------------------------------------------------------------------------------------------------------


def intermediate_symbols(k: int, symbols: Mapping[int, bytes]) -> list[bytes] | None:
    """C[0] .. C[L - 1] from symbols by their encoding symbol id, or None where these do not determine them.

    Symbols are of one size; there is at least one. More of them than are needed are not held against each other.
    Raises ValueError for K that is not 1 .. 56,403.
    """
    the = code(k)
    size = len(next(iter(symbols.values())))
    zero = bytes(size)
    rows = [row + zero for row in the.constraints]
    rows += [the.lt_row(x) + zero for x in range(k, the.k_prime)]
    rows += [the.lt_row(the.isi(esi)) + symbol for esi, symbol in symbols.items()]

    # Gauss and Jordan: what is left of row i is 0 .. 1 .. 0, C[i].
    for column in range(the.l):
        at = next((i for i in range(column, len(rows)) if rows[i][column]), None)
        if at is None:
            return None
        pivot = rows[at].translate(products(inverse(rows[at][column])))
        rows[at] = rows[column]
        rows[column] = pivot
        for i, row in enumerate(rows):
            if row[column] and i != column:
                rows[i] = add(row, pivot.translate(products(row[column])))
    return [row[the.l :] for row in rows[: the.l]]


def encode(k: int, intermediate: list[bytes], esi: int) -> bytes:
    """The symbol `esi` of a block of K symbols (5.3.4)."""
    the = code(k)
    symbol = bytes(len(intermediate[0]))
    for term in the.terms(the.isi(esi)):
        symbol = add(symbol, intermediate[term])
    return symbol


def decode(k: int, symbols: Mapping[int, bytes]) -> list[bytes] | None:
    """The K source symbols, from symbols by their encoding symbol id, or None where these do not determine them."""
    if len(symbols) < k:
        return None
    intermediate = intermediate_symbols(k, symbols)
    return intermediate and [encode(k, intermediate, esi) for esi in range(k)]
