import { find } from './api'
import { Loaded } from './loading.svelte'
import { href, subjectHref } from './router.svelte'
import type { Hit, HitGroup, SubjectKind } from './types'

export type Result = { kind: SubjectKind | 'log'; hit: Hit; to: string; at: number }
export type ResultGroup = { kind: SubjectKind | 'log'; results: Result[] }

// What people look for most comes first.
const order = ['log', 'artifact', 'package', 'vuln', 'source', 'actor', 'resource', 'document', 'licence']
const pause = 90 // ms without a key before the server is asked
const perKind = 20

class Search {
  text = $state('')
  active = $state(-1)
  answer = new Loaded<{ q: string; groups: HitGroup[] }>()
  private timer = 0

  groups = $derived.by((): ResultGroup[] => {
    const answer = this.answer.value
    if (!answer || !this.text.trim()) return []
    let at = 0
    const list: ResultGroup[] = []
    if (/^#?[0-9]{1,15}$/.test(answer.q)) {
      const index = answer.q.replace('#', '')
      list.push({
        kind: 'log',
        results: [{ kind: 'log', hit: { id: index, key: index, label: `Log entry ${index}` }, to: href('/log', { index }), at: at++ }],
      })
    }
    const groups = answer.groups.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
    for (const group of groups) {
      if (!group.hits.length) continue
      list.push({
        kind: group.kind,
        results: group.hits.map((hit) => ({ kind: group.kind, hit, to: subjectHref(group.kind, hit.key, hit.id), at: at++ })),
      })
    }
    return list
  })
  results = $derived(this.groups.flatMap((g) => g.results))

  type(text: string, now = false) {
    this.text = text
    this.active = -1
    clearTimeout(this.timer)
    const q = text.trim()
    if (!q) {
      this.answer.stop()
      this.answer.value = undefined
      this.answer.error = undefined
      return
    }
    const start = () => this.answer.load(async (signal) => ({ q, groups: (await find(q, perKind, signal)).groups }))
    if (now) void start()
    else this.timer = setTimeout(start, pause)
  }

  step(by: number) {
    const n = this.results.length
    if (n) this.active = (this.active + by + (this.active < 0 && by < 0 ? 1 : 0) + n) % n
  }
}

export const search = new Search()
