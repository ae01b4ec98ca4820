import type {
  Answer, BillEntry, FleetNamespace, HitGroup, Job, LogPage, LogProof, Policy, Stats, StoredDocument, Verdict,
} from './types'

const graph = '/api/graph/v1'
const gate = '/api/gate/v1'

/** An answer that is an error, in the server's words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}

type Params = Record<string, string | number | string[] | undefined>

function address(path: string, params: Params = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== '') query.append(name, String(one))
    }
  }
  const text = query.toString()
  return text ? `${path}?${text}` : path
}

// A server that is not on this machine asks for a token; it is kept for as long as the tab is open.
let token = ''
try {
  token = sessionStorage.getItem('token') ?? ''
} catch {
  // Nothing is kept here: then it is asked for again.
}

export function useToken(value: string) {
  token = value.trim()
  try {
    sessionStorage.setItem('token', token)
  } catch {
    // As above.
  }
}

async function call(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token) headers.set('Authorization', `Bearer ${token}`)
  let response: Response
  try {
    response = await fetch(url, { ...init, headers })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(0, 'unavailable', 'The server does not answer.', 'Is “seaworthy up” still running?')
  }
  if (response.ok) return response
  let error = { code: '', message: '', hint: '' }
  try {
    error = { ...error, ...(await response.json()).error }
  } catch {
    // Not in our shape: a proxy, or another server.
  }
  const message = error.message || `The server answers ${response.status} ${response.statusText}`.trim() + '.'
  throw new ApiError(response.status, error.code, message, error.hint)
}

async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await call(url, { signal })
  try {
    return (await response.json()) as T
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(response.status, 'invalid', 'What the server answers is not JSON.', 'Is there a proxy in between?')
  }
}

export type Asked = {
  subject?: string
  to?: string
  signed?: string
  signer?: string[]
  asOf?: string
  depth?: string | number
  limit?: number
  expand?: string[]
  kind?: string
}

export const ask = (verb: string, asked: Asked, signal?: AbortSignal) =>
  get<Answer>(address(`${graph}/ask/${encodeURIComponent(verb)}`, asked), signal)

export const find = (q: string, limit: number, signal?: AbortSignal) =>
  get<{ groups: HitGroup[] }>(address(`${graph}/search`, { q, limit }), signal)

export const stats = (signal?: AbortSignal) => get<Stats>(`${graph}/stats`, signal)

export const documents = (params: Params, signal?: AbortSignal) =>
  get<{ documents: StoredDocument[]; next?: string }>(address(`${graph}/documents`, params), signal)

const documentAddress = (digest: string) => `${graph}/documents/${encodeURIComponent(digest)}`

export const document = (digest: string, signal?: AbortSignal) => get<StoredDocument>(documentAddress(digest), signal)

/** The first bytes of a document, as text; whole says whether these are all. */
export async function raw(digest: string, limit: number, signal?: AbortSignal) {
  const response = await call(`${documentAddress(digest)}/raw`, { signal })
  const reader = response.body?.getReader()
  if (!reader) return { text: '', whole: true }
  const parts: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  let whole = true
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    size += value.length
    if (size > limit) {
      whole = false
      await reader.cancel()
      break
    }
  }
  const text = await new Blob(parts).slice(0, limit).text()
  return { text, whole }
}

export async function download(path: 'raw' | 'bill', digest: string, format = ''): Promise<Blob> {
  const response = await call(address(`${documentAddress(digest)}/${path}`, { format }))
  return response.blob()
}

export async function upload(file: File): Promise<{ document: StoredDocument; added: boolean }> {
  const response = await call(address(`${graph}/documents`, { origin: file.name }), {
    method: 'POST',
    body: file,
    headers: { 'Content-Type': 'application/octet-stream' },
  })
  return response.json()
}

export const bills = (params: Params, signal?: AbortSignal) =>
  get<{ bills: BillEntry[]; next?: string }>(address(`${graph}/bills`, params), signal)

export const jobs = (signal?: AbortSignal) => get<{ jobs: Job[] }>(`${graph}/jobs`, signal)

export const retry = (id: string) => call(`${graph}/jobs/${encodeURIComponent(id)}/retry`, { method: 'POST' })

export const log = (params: Params, signal?: AbortSignal) => get<LogPage>(address(`${graph}/log`, params), signal)

export const logEntry = (index: number, signal?: AbortSignal) => get<LogProof>(`${graph}/log/${index}`, signal)

export const policies = (signal?: AbortSignal) => get<{ policies: Policy[] }>(`${gate}/policies`, signal)

export const decisions = (params: Params, signal?: AbortSignal) =>
  get<{ decisions: Verdict[]; next?: string }>(address(`${gate}/decisions`, params), signal)

export const fleet = (signal?: AbortSignal) => get<{ namespaces: FleetNamespace[] }>(`${gate}/fleet`, signal)
