// Saving what is shown.

export function save(name: string, content: Blob | string, type = 'application/octet-stream') {
  const blob = typeof content === 'string' ? new Blob([content], { type }) : content
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  // The browser reads it after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

/** RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe. */
export function csv(columns: string[], rows: string[][]): string {
  const cell = (text: string) => {
    if (/^[=+\-@\t\r]/.test(text) && !/^-?[0-9.]+$/.test(text)) text = "'" + text
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return [columns, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}

export function records(columns: string[], rows: string[][]): string {
  return JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i] ?? '']))), null, 2) + '\n'
}

export const fileName = (text: string) => text.replace(/[^A-Za-z0-9._@-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '').slice(0, 80) || 'seaworthy'
