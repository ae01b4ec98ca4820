// An OpenSSF scorecard, from the document itself or from what a statement keeps of it.

import { attr, type GraphEdge, type Property } from './types'

export type Check = { name: string; score: number; reason?: string }
export type Scorecard = { score: number; checks: Check[]; repo?: string; commit?: string; date?: string; version?: string }

type Loose = Record<string, unknown>
const object = (v: unknown): Loose | undefined => (v && typeof v === 'object' && !Array.isArray(v) ? (v as Loose) : undefined)
const text = (v: unknown) => (typeof v === 'string' ? v : undefined)

export function readChecks(value: unknown): Check[] {
  if (Array.isArray(value)) {
    return value.flatMap((v) => {
      const c = object(v)
      const name = text(c?.name) ?? text(c?.Name)
      const score = Number(c?.score ?? c?.Score)
      return c && name && !Number.isNaN(score) ? [{ name, score, reason: text(c.reason) ?? text(c.Reason) }] : []
    })
  }
  return Object.entries(object(value) ?? {}).flatMap(([name, score]) => (typeof score === 'number' ? [{ name, score }] : []))
}

/** Reads a scorecard's JSON, also inside of an in-toto statement or an envelope around one; undefined if it is none. */
export function readScorecard(json: string): Scorecard | undefined {
  try {
    let value = object(JSON.parse(json))
    const payload = text(value?.payload) ?? text(object(value?.dsseEnvelope)?.payload)
    if (payload) value = object(JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0)))))
    const card = object(value?.predicate) ?? value
    const checks = readChecks(card?.checks)
    if (!card || !checks.length) return undefined
    const repo = object(card.repo)
    return {
      score: Number(card.score ?? card.aggregateScore ?? NaN),
      checks,
      repo: text(repo?.name),
      commit: text(repo?.commit),
      date: text(card.date),
      version: text(object(card.scorecard)?.version),
    }
  } catch {
    return undefined
  }
}

/** What statements say of a scorecard: of the edges that rate a subject, else of the facts beside it. */
export function ratingOf(id: string, edges: GraphEdge[], facts: Property[] = []): Scorecard | undefined {
  for (const edge of edges) {
    if (edge.predicate !== 'rated' || (edge.from !== id && edge.to !== id)) continue
    try {
      const checks = readChecks(JSON.parse(attr(edge.attrs, 'checks')))
      if (checks.length) return { score: Number(attr(edge.attrs, 'score') || NaN), checks }
    } catch {
      // The statement keeps something else there.
    }
  }
  const checks = facts.filter((f) => f.name.startsWith(check)).flatMap((f): Check[] => {
    const [, score, reason] = /^(-?[0-9]+) ?(.*)$/.exec(f.value) ?? []
    return score ? [{ name: f.name.slice(check.length), score: Number(score), reason }] : []
  })
  const score = facts.find((f) => f.name === 'scorecard')?.value
  return checks.length ? { score: Number(score || NaN), checks } : undefined
}

const check = 'check '

/** Facts that are not drawn as bars. */
export const otherFacts = (facts: Property[] = []) => facts.filter((f) => !f.name.startsWith(check))
