// The right-hand side: what the page's answer rests on, and what of it was picked.

import type { CitedDocument, Gap, GraphEdge, GraphNode } from './types'

export type Picked =
  | { what: 'node'; node: GraphNode; edges: GraphEdge[]; nodes: Map<string, GraphNode>; gaps: Gap[] }
  | { what: 'edge'; edge: GraphEdge; from?: GraphNode; to?: GraphNode }
  | { what: 'gap'; gap: Gap; node?: GraphNode }
  | { what: 'row'; title: string; cells: { name: string; value: string }[]; digests: string[] }
  | { what: 'document'; digest: string }

class Evidence {
  documents = $state.raw<CitedDocument[]>([])
  picked = $state.raw<Picked>()
  /** On narrow windows the evidence lies over the page, and only when it is asked for. */
  open = $state(false)

  show(documents: CitedDocument[]) {
    this.documents = documents
    this.picked = undefined
  }

  pick(picked: Picked | undefined) {
    this.picked = picked
    if (picked) this.open = true
  }

  find(digest: string) {
    return this.documents.find((d) => d.digest === digest)
  }
}

export const evidence = new Evidence()
