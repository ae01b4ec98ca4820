// How things are written for people.

import type { CitedDocument, SubjectKind } from './types'

/** sha256:ada949e0…: enough of a digest to tell it from others. */
export function short(digest: string): string {
  const [algorithm, value] = digest.split(':', 2)
  return value && /^[0-9a-f]{32,}$/.test(value) ? `${algorithm}:${value.slice(0, 10)}…` : digest
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  let unit = -1
  do {
    n /= 1000
    unit++
  } while (n >= 999.5 && unit < 4)
  return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${['kB', 'MB', 'GB', 'TB', 'PB'][unit]}`
}

export const count = (n: number) => n.toLocaleString('en-GB')

export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

const known = (time: string | undefined) => !!time && !time.startsWith('0001-')

const whole = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZone: 'UTC',
})

export function when(time: string | undefined): string {
  if (!known(time)) return ''
  const date = new Date(time!)
  return Number.isNaN(date.valueOf()) ? time! : `${whole.format(date)} UTC`
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600], ['month', 2_629_800], ['week', 604_800], ['day', 86_400], ['hour', 3_600], ['minute', 60],
]
const relative = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' })

export function ago(time: string | undefined, now = Date.now()): string {
  if (!known(time)) return ''
  const seconds = (new Date(time!).valueOf() - now) / 1000
  if (Number.isNaN(seconds)) return time!
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  }
  return 'just now'
}

const predicates: Record<string, string> = {
  contains: 'contains', hasFile: 'has file', depends: 'depends on', same: 'same as', describes: 'describes',
  built: 'built from', builtBy: 'built by', signed: 'signed by', source: 'source', affects: 'affects', rated: 'rated',
  licensed: 'licensed', judged: 'judged', noted: 'noted', runs: 'runs',
}

export const predicateWord = (predicate: string) => predicates[predicate] ?? predicate

// The same seen from the object: "found in", "needed by".
const backwards: Record<string, string> = {
  contains: 'contained in', hasFile: 'file of', depends: 'needed by', same: 'same as', describes: 'described by',
  built: 'built into', builtBy: 'builds', signed: 'signs', source: 'source of', affects: 'affected by', rated: 'rates',
  licensed: 'licence of', judged: 'verdict on', noted: 'notes', runs: 'runs in',
}

export const predicateBackwards = (predicate: string) => backwards[predicate] ?? predicate

const kinds: Record<SubjectKind, [string, string]> = {
  artifact: ['artifact', 'Artifacts'],
  package: ['package', 'Packages'],
  source: ['source', 'Sources'],
  vuln: ['vulnerability', 'Vulnerabilities'],
  licence: ['licence', 'Licences'],
  actor: ['identity', 'Identities and keys'],
  document: ['document', 'Documents'],
  resource: ['resource', 'References and workloads'],
}

const actors: Record<string, string> = { key: 'key', identity: 'identity', builder: 'builder', person: 'person' }

/** What somebody or something is called by: its role, else its kind. */
export function roleWord(node: { kind: string; key: string; role?: string }): string {
  if (node.role) return node.role
  if (node.kind === 'actor') return actors[node.key.split(':', 1)[0]!] ?? 'identity'
  if (node.kind === 'resource') {
    if (node.key.startsWith('oci://')) return 'image reference'
    return /^k8s:\/\/[^/]*\/[^/]*\/([^/]+)\//.exec(node.key)?.[1] ?? 'resource'
  }
  return kindWord(node.kind)
}

export const kindWord = (kind: string) => kinds[kind as SubjectKind]?.[0] ?? kind
export const kindsWord = (kind: string) => kinds[kind as SubjectKind]?.[1] ?? kind

const documentKinds: Record<string, string> = {
  bill: 'bill of materials', provenance: 'provenance', signature: 'signature', vex: 'VEX', scan: 'scan',
  scorecard: 'scorecard', manifest: 'manifest', verdict: 'verdict', statement: 'attestation',
}

export const documentWord = (kind: string) => documentKinds[kind] ?? kind

/** Who signed, as people call them: an e-mail address, a workflow, a key. */
export function signer(key: string): string {
  if (key.startsWith('identity:')) return key.slice('identity:'.length).split('|')[0]!
  if (key.startsWith('key:')) return 'key ' + short(key.slice('key:'.length))
  return key.replace(/^(builder|person):/, '')
}

export const issuer = (key: string) => (key.startsWith('identity:') ? (key.split('|')[1] ?? '') : '')

/** A text whose digests are shortened. */
export const brief = (text: string) => text.replace(/\b(sha(?:1|256|384|512)):?([0-9a-f]{10})[0-9a-f]{22,}\b/g, '$1:$2…')

export function documentTitle(d: CitedDocument): string {
  return brief(d.name || d.predicateType || d.origin || d.digest)
}

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
