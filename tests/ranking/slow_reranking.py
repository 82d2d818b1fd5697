"""Slow references: the neighbour-based methods as loops over images, in float64.

Random vectors have no two similarities within `TIE` of each other, so these need not know of it.
"""

from __future__ import annotations

import math


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def unit(a):
    length = math.sqrt(dot(a, a))
    return [float(x) / length for x in a] if length else [0.0 for _ in a]


def plus(*vectors):
    return [sum(numbers) for numbers in zip(*vectors, strict=True)]


def times(factor, vector):
    return [factor * x for x in vector]


def nearest(similarities, k):
    """Indices of the k highest."""
    order = sorted(range(len(similarities)), key=lambda i: -similarities[i])
    return order[:k]


def units(query, candidates):
    return unit(query), [unit(row) for row in candidates]


def aqe(query, candidates, *, neighbours=2):
    query, rows = units(query, candidates)
    chosen = nearest([dot(query, row) for row in rows], neighbours)
    expanded = unit(plus(query, *(rows[i] for i in chosen)))
    return [dot(expanded, row) for row in rows]


def alpha_qe(query, candidates, *, neighbours=5, alpha=2.0):
    query, rows = units(query, candidates)
    similar = [dot(query, row) for row in rows]
    expanded = query
    for i in nearest(similar, neighbours):
        if similar[i] > 0:
            expanded = plus(expanded, times(similar[i] ** alpha, rows[i]))
    return [dot(unit(expanded), row) for row in rows]


def superglobal(query, candidates, *, neighbours=5, weight=0.5):
    query, rows = units(query, candidates)
    if not rows:
        return []
    refined = []
    for i, row in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        similar = [dot(row, rows[j]) for j in others]
        total = row
        for position in nearest(similar, neighbours):
            pull = weight * max(similar[position], 0)
            total = plus(total, times(pull, rows[others[position]]))
        refined.append(unit(total))
    first = [dot(query, row) for row in refined]
    chosen = nearest(first, neighbours + 1)
    pooled = unit(plus(*(refined[i] for i in chosen)))
    asked = unit(plus(query, pooled))
    return [(a + dot(asked, row)) / 2 for a, row in zip(first, refined, strict=True)]


def k_reciprocal(query, candidates, *, neighbours=40, smoothing=6, weight=0.5):
    query, rows = units(query, candidates)
    images = [query, *rows]
    n = len(images)
    similar = [[dot(a, b) for b in images] for a in images]

    def reciprocal(i, k):
        near = set(nearest(similar[i], k + 1))
        return {j for j in near if i in nearest(similar[j], k + 1)}

    encoded = []
    for i in range(n):
        members = reciprocal(i, neighbours)
        grown = set(members)
        for j in members:
            half = reciprocal(j, math.ceil(neighbours / 2))
            if 3 * len(half & members) >= 2 * len(half):
                grown |= half
        weights = [math.exp(2 * similar[i][j] - 2) if j in grown else 0.0 for j in range(n)]
        encoded.append(times(1 / sum(weights), weights))
    smooth = []
    for i in range(n):
        over = nearest(similar[i], smoothing)
        smooth.append(times(1 / len(over), plus(*(encoded[j] for j in over))))
    scores = []
    for i in range(1, n):
        both = sum(min(a, b) for a, b in zip(smooth[0], smooth[i], strict=True))
        either = sum(max(a, b) for a, b in zip(smooth[0], smooth[i], strict=True))
        scores.append((1 - weight) * both / either + weight * similar[0][i])
    return scores


def diffusion(query, candidates, *, neighbours=20, sources=3, reach=0.8, weight=0.01):
    """The flow step by step until it is steady, instead of a system of equations."""
    query, rows = units(query, candidates)
    n = len(rows)
    affinity = [
        [max(dot(a, b), 0) ** 3 if i != j else 0.0 for j, b in enumerate(rows)]
        for i, a in enumerate(rows)
    ]
    lists = [set(nearest(row, neighbours)) for row in affinity]
    for i in range(n):
        for j in range(n):
            if i not in lists[j] or j not in lists[i]:
                affinity[i][j] = 0.0
    degree = [sum(row) or 1.0 for row in affinity]
    similar = [dot(query, row) for row in rows]
    source = [0.0] * n
    for i in nearest(similar, sources):
        source[i] = max(similar[i], 0) ** 3
    flow = source
    for _ in range(200):
        flow = [
            source[i]
            + reach
            * sum(affinity[i][j] * flow[j] / math.sqrt(degree[i] * degree[j]) for j in range(n))
            for i in range(n)
        ]
    highest = max(flow, default=0) or 1.0
    return [(1 - weight) * a / highest + weight * b for a, b in zip(flow, similar, strict=True)]


def b_attention(query, candidates, *, neighbours=50, weight=0.3):
    query, rows = units(query, candidates)
    images = [query, *rows]
    tests = []
    for a in images:
        similar = [dot(a, b) for b in images]
        chosen = nearest(similar, neighbours + 1)
        tests.append(unit([max(s, 0) if j in chosen else 0 for j, s in enumerate(similar)]))
    return [
        (1 - weight) * dot(tests[0], tests[i]) + weight * dot(query, images[i])
        for i in range(1, len(images))
    ]


def dba(vectors, *, neighbours=5, alpha=3.0):
    rows = [unit(row) for row in vectors]
    augmented = []
    for row in rows:
        similar = [dot(row, other) for other in rows]
        total = [0.0] * len(row)
        for j in nearest(similar, neighbours + 1):
            if similar[j] > 0:
                total = plus(total, times(similar[j] ** alpha, rows[j]))
        augmented.append(unit(total))
    return augmented


def invgc(vectors, *, queries=None, gallery_rate=0.1, query_rate=0.1, share=0.01):
    rows = [unit(row) for row in vectors]

    def pushed(row, others, rate):
        if not others:
            return row
        similar = [dot(row, other) for other in others]
        chosen = nearest(similar, max(1, int(share * len(others))))
        pull = plus(*(times(similar[j] / len(chosen), others[j]) for j in chosen))
        return unit(plus(row, times(-rate, pull)))

    spread = []
    for i, row in enumerate(rows):
        moved = pushed(row, rows[:i] + rows[i + 1 :], gallery_rate)
        if queries is not None:
            asked = [unit(other) for other in queries]
            moved = plus(moved, pushed(row, asked, query_rate))
        spread.append(unit(moved))
    return spread


def among_candidates(transform):
    def rerank(query, candidates, **settings):
        return [dot(unit(query), row) for row in transform(candidates, **settings)]

    return rerank


RERANKINGS = {
    "aqe": aqe,
    "alpha-qe": alpha_qe,
    "superglobal": superglobal,
    "k-reciprocal": k_reciprocal,
    "diffusion": diffusion,
    "b-attention": b_attention,
    "dba": among_candidates(dba),
    "invgc": among_candidates(invgc),
}
GALLERY_TRANSFORMS = {"dba": dba, "invgc": invgc}
