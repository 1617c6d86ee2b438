"use strict";
// Recalibrates an estimate and gives its interval, as `evaluation/recalibration.py` does.

function recalibrated(record, raw) {
  const value = record.intercept + record.slope * raw, fits = record.leave_one_out;
  if (fits === null || record.rank === null) return { value, low: null, high: null };
  const ends = (sign) => fits.residual
    .map((residual, i) => fits.intercept[i] + fits.slope[i] * raw + sign * residual)
    .sort((a, b) => a - b);
  const low = ends(-1)[fits.residual.length - record.rank], high = ends(1)[record.rank - 1];
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}
