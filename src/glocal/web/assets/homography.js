// Homographies: 3 × 3 matrices, as rows, between images whose points are fractions of their sides.

export const IDENTITY = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** The inverse of a 3 × 3 matrix, up to a positive factor. */
export function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const rows = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const sign = Math.sign(a * rows[0][0] + b * rows[1][0] + c * rows[2][0]) || 1;
  return rows.map((row) => row.map((n) => n * sign));
}

/** The product of matrices, the last one applied first. */
export function product(...matrices) {
  return matrices.reduce((a, b) =>
    a.map((row) => b[0].map((_, at) => row.reduce((sum, n, k) => sum + n * b[k][at], 0))),
  );
}

/** Where a point comes to lie, or null where that is behind the image. */
export function carried(matrix, [x, y]) {
  const [a, b, w] = matrix.map(([p, q, r]) => p * x + q * y + r);
  return w > 0 ? [a / w, b / w] : null;
}

/** The matrix as CSS has it, for an element whose origin is its upper left corner. */
export function css([[a, b, c], [d, e, f], [g, h, i]]) {
  const n = [a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, i].map((value) => value / i);
  return `matrix3d(${n.map((value) => value.toFixed(9)).join(",")})`;
}
