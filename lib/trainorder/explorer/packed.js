"use strict";
// Reads the arrays that `explorer/packing.py` packs, in double precision.

function bytesOf(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// Returns { shape, values } with a Float64Array.
function unpacked(entry) {
  if (entry.values) return { shape: entry.shape, values: Float64Array.from(entry.values) };
  const { shape, bits } = entry, bytes = bytesOf(entry.codes);
  const scales = new Float32Array(bytesOf(entry.scales).buffer);
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
  const block = values.length / scales.length, zero = 2 ** (bits - 1);
  let held = 0, count = 0, next = 0;  // bits that are read and not yet used; at most 7 + 32
  for (let i = 0; i < values.length; i += 1) {
    for (; count < bits; count += 8) {
      held = held * 256 + bytes[next];
      next += 1;
    }
    count -= bits;
    const code = Math.floor(held / 2 ** count);
    held -= code * 2 ** count;
    values[i] = (code - zero) * scales[Math.floor(i / block)];
  }
  return { shape, values };
}
