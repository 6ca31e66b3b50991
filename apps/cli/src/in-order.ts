// Many things at the same time, a bounded number of them, given back in the
// order in which they came.

/**
 * Works on items, at most `width` at a time.
 *
 * @throws what the source or the work throws, once everything before it was given back
 */
export async function* inOrder<T, U>(
  source: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<U>,
): AsyncGenerator<U, void> {
  const under: Promise<U>[] = [];
  try {
    for await (const item of source) {
      under.push(work(item));
      if (under.length < width) continue;
      const first = under.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = under.shift(); first !== undefined; first = under.shift()) yield await first;
  } finally {
    await Promise.allSettled(under);
  }
}
