// What the server answers, as engine/trace, store/graph and the ground of the program write it in JSON.

export type Property = { name: string; value: string }

export type SubjectKind =
  | 'artifact' | 'package' | 'source' | 'vuln' | 'licence' | 'actor' | 'document' | 'resource'

export type GraphNode = {
  id: string
  kind: SubjectKind
  key: string
  label: string
  role?: string
  facts?: Property[]
  depth: number
  group?: number
}

export type GraphEdge = {
  from: string
  to: string
  predicate: string
  attrs?: Property[]
  documents: string[]
  signed: boolean
}

export type Row = {
  node?: string
  cells: string[]
  level?: number
  via?: string[]
  documents: string[]
  signed: boolean
}

export type Tile = {
  name: string
  state: 'good' | 'bad' | 'warn' | 'missing'
  text: string
  detail?: string
  documents: string[]
}

export type Gap = { node: string; what: string; detail?: string }

export type Verification = {
  state: 'verified' | 'unverifiable' | 'unsigned'
  signers?: string[]
  detail?: string
}

/** A document that an answer rests on. */
export type CitedDocument = {
  digest: string
  node?: string
  kind: string
  format: string
  predicateType?: string
  name?: string
  origin?: string
  ingested: string
  verification: Verification
}

export type Problem = { where: string; code: string; detail: string }

/** A document as the list of documents has it. */
export type StoredDocument = CitedDocument & {
  mediaType?: string
  size: number
  statements: number
  problems?: Problem[]
}

export type Question = { verb: string; subject?: string; to?: string }

export type Answer = {
  question: Question
  subject?: string
  title: string
  nodes: GraphNode[]
  edges: GraphEdge[]
  columns: string[]
  rows: Row[]
  tiles?: Tile[]
  missing: Gap[]
  documents: CitedDocument[]
  notes?: string[]
  truncated?: boolean
  tookMs: number
}

export type Hit = { id: string; key: string; label: string; name?: string; exact?: boolean }
export type HitGroup = { kind: SubjectKind; hits: Hit[] }

export type BillEntry = {
  document: StoredDocument
  subject: { id: string; label: string } | null
  packages: number
  grade?: string
  score?: number
  supplier?: string
}

export type Job = {
  id: string
  kind: string
  urgency: number
  title: string
  created: string
  due: string
  tries: number
  state: 'waiting' | 'running' | 'parked'
  lastFail?: string
}

export type Stats = {
  subjects: number
  documents: number
  statements: number
  bytes: number
  engine: string
  jobs: number
}

export type LogEntry = {
  index: number
  kind?: string
  digest?: string
  identity?: string
  issuer?: string
  key?: string
  time?: string
}

export type LogPage = { origin: string; size: number; checkpoint: string; entries: LogEntry[]; next?: string }

/** An entry with all that proves it is in the log: body and hashes are base64, the hashes from the leaf upwards. */
export type LogProof = LogEntry & {
  origin: string
  body: string
  treeSize: number
  rootHash: string
  hashes: string[]
  checkpoint: string
}

export type EvidenceNamed = { document?: string; kind: string; source?: string; signers?: string[] }

export type RuleResult = {
  rule: string
  passed: boolean
  code?: string
  reason: string
  evidence?: EvidenceNamed[]
  missing?: string[]
  fix?: string
}

export type PolicyResult = { policy: string; mode: 'enforce' | 'warn' | 'dryrun'; passed: boolean; rules: RuleResult[] }

export type Verdict = {
  image: string
  digest?: string
  allowed: boolean
  namespace?: string
  policies: PolicyResult[]
  warnings?: string[]
  at?: string
  cached?: boolean
}

export type Policy = {
  name: string
  mode: string
  failOpen?: boolean
  description?: string
  images: string[]
  namespaces?: string[]
  rules: string[]
  source: string
  file?: string
  yaml?: string
}

export type FleetImage = { image: string; digest?: string; allowed: boolean; reason?: string; workloads: string[] }
export type FleetNamespace = { name: string; images: FleetImage[] }

export function attr(list: Property[] | undefined, name: string): string {
  return list?.find((p) => p.name === name)?.value ?? ''
}
