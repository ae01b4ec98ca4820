// In which order cells come: severities by how bad they are, numbers by size, versions and the rest as people count.

const ranks = new Map(['none', 'unknown', 'negligible', 'low', 'medium', 'high', 'critical'].map((word, i) => [word, i]))
const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })

export function compare(a: string, b: string): number {
  if (a === b) return 0
  // What is not known comes last in the ascending order's beginning: before everything.
  if (!a) return -1
  if (!b) return 1
  const rankA = ranks.get(a)
  const rankB = ranks.get(b)
  if (rankA !== undefined && rankB !== undefined) return rankA - rankB
  const numberA = Number(a.replace(/%$/, ''))
  const numberB = Number(b.replace(/%$/, ''))
  if (!Number.isNaN(numberA) && !Number.isNaN(numberB)) return numberA - numberB
  return collator.compare(a, b)
}

/** Which rows pass: every word of the search somewhere, and every column's filter in its column. */
export function passes(cells: string[], words: string[], filters: string[]): boolean {
  if (filters.some((filter, i) => filter && !cells[i]!.toLowerCase().includes(filter))) return false
  if (!words.length) return true
  const all = cells.join('\u0000').toLowerCase()
  return words.every((word) => all.includes(word))
}
