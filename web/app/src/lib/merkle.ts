// Is an entry in the log? The tree and its proofs are those of RFC 6962 section 2.1 and RFC 9162 section 2.1.3.2;
// the hashing is the browser's own.

export type Step = { sibling: Uint8Array; side: 'left' | 'right'; result: Uint8Array }

export type Checked = {
  leaf: Uint8Array
  steps: Step[]
  /** What the proof leads to; the log contains the entry when this is the root it signed. */
  root: Uint8Array
}

const leafPrefix = 0
const nodePrefix = 1

async function hash(prefix: number, ...parts: Uint8Array[]): Promise<Uint8Array> {
  const size = parts.reduce((sum, part) => sum + part.length, 1)
  const joined = new Uint8Array(size)
  joined[0] = prefix
  let at = 1
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', joined))
}

export const leafHash = (body: Uint8Array) => hash(leafPrefix, body)

/**
 * Computes the root that an inclusion proof leads to. It throws when the proof has not the length that the index and
 * the size of the log ask for.
 */
export async function climb(leaf: Uint8Array, index: number, size: number, proof: Uint8Array[]): Promise<Checked> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) {
    throw new Error(`entry ${index} cannot be in a log of ${size}`)
  }
  let node = BigInt(index)
  let last = BigInt(size) - 1n
  let result = leaf
  const steps: Step[] = []
  for (const sibling of proof) {
    if (last === 0n) throw new Error('the proof is too long')
    if (sibling.length !== 32) throw new Error('the proof has something in it that is no SHA-256')
    const odd = node & 1n
    if (odd || node === last) {
      result = await hash(nodePrefix, sibling, result)
      steps.push({ sibling, side: 'left', result })
      if (!odd) {
        while (node !== 0n && !(node & 1n)) {
          node >>= 1n
          last >>= 1n
        }
      }
    } else {
      result = await hash(nodePrefix, result, sibling)
      steps.push({ sibling, side: 'right', result })
    }
    node >>= 1n
    last >>= 1n
  }
  if (last !== 0n) throw new Error('the proof is too short')
  return { leaf, steps, root: result }
}

export type Checkpoint = { origin: string; size: number; root: Uint8Array; signatures: string[] }

/** Reads a checkpoint: origin, size and root, a line each, and below an empty line who signed it. */
export function readCheckpoint(text: string): Checkpoint {
  const [body = '', signed = ''] = text.split('\n\n', 2)
  const [origin = '', size = '', root = ''] = body.split('\n')
  if (!/^[0-9]+$/.test(size)) throw new Error('the checkpoint does not say how large the log is')
  const signatures = signed
    .split('\n')
    .filter((line) => line.startsWith('— '))
    .map((line) => line.slice(2).split(' ')[0]!)
  return { origin, size: Number(size), root: fromBase64(root), signatures }
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

export const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i])
