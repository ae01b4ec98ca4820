// Where the things of a picture are: layers from left to right, as dagre orders them. What leads to the subject is on
// its left, what it leads to on its right.

import type { Gap, GraphEdge, GraphNode } from './types'
import { roleWord, predicateWord } from './words'

export type Box = {
  id: string
  node?: GraphNode
  gap?: Gap
  title: string
  under: string
  x: number // of its centre
  y: number
  width: number
  height: number
}

export type Line = {
  id: string
  from: string
  to: string
  edges: GraphEdge[] // none: something is missing
  label: string
  signed: boolean
  path: string
  x: number // of its label's centre
  y: number
  width: number // of its label
  arrow: 'end' | 'start' // statements may point to the left
}

export type Laid = { boxes: Box[]; lines: Line[]; width: number; height: number }

/** How many boxes are drawn at most: more than that nobody can look at. */
export const mostBoxes = 300

export const boxHeight = 46
const glyphRoom = 38
const widest = 264

let pen: CanvasRenderingContext2D | null = null
function measure(text: string, font: string): number {
  pen ??= document.createElement('canvas').getContext('2d')
  if (!pen) return text.length * 7
  pen.font = font
  return pen.measureText(text).width
}
export const titleFont = '500 13px "Plex Sans", system-ui, sans-serif'
export const smallFont = '400 11px "Plex Sans", system-ui, sans-serif'

/** Shortens in the middle, and keeps so much of what is left at the beginning: of a path the end tells the most. */
export function clip(text: string, font: string, room: number, head = 0.5): string {
  if (measure(text, font) <= room) return text
  let low = 4
  let high = text.length
  const cut = (n: number) => text.slice(0, Math.ceil(n * head)) + '…' + text.slice(text.length - Math.floor(n * (1 - head)))
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (measure(cut(middle), font) <= room) low = middle
    else high = middle - 1
  }
  return cut(low)
}

function underOf(node: GraphNode): string {
  if (node.group) return 'click to open'
  const fact = (name: string) => node.facts?.find((f) => f.name === name)?.value
  const words = [roleWord(node)]
  const score = fact('scorecard') ?? fact('score')
  if (score) words.push(score)
  const severity = fact('severity')
  if (severity) words.push(severity)
  return words.join(' · ')
}

const heads: Record<string, number> = { artifact: 0.25, resource: 0.25, package: 0.65, actor: 0.6 }

function box(id: string, title: string, under: string, kind = ''): Box {
  const width = Math.min(widest, Math.max(measure(title, titleFont), measure(under, smallFont)) + glyphRoom + 14)
  return {
    id, x: 0, y: 0, width: Math.max(96, Math.ceil(width)), height: boxHeight,
    title: clip(title, titleFont, widest - glyphRoom - 12, heads[kind]), under: clip(under, smallFont, widest - glyphRoom - 12),
  }
}

type Pair = { left: string; right: string; edges: GraphEdge[]; arrow: 'end' | 'start'; label: string; signed: boolean }

export async function layOut(nodes: GraphNode[], edges: GraphEdge[], gaps: Gap[]): Promise<Laid> {
  const { Graph, layout } = await import('./dagre')
  await document.fonts.load(titleFont).catch(() => {})

  const boxes = new Map<string, Box>()
  for (const node of nodes) boxes.set(node.id, { ...box(node.id, node.label, underOf(node), node.group ? '' : node.kind), node })
  const depth = new Map(nodes.map((n) => [n.id, n.depth]))

  const pairs = new Map<string, Pair>()
  for (const edge of edges) {
    if (!boxes.has(edge.from) || !boxes.has(edge.to) || edge.from === edge.to) continue
    const turned = depth.get(edge.from)! > depth.get(edge.to)!
    const [left, right] = turned ? [edge.to, edge.from] : [edge.from, edge.to]
    const arrow = turned ? 'start' : 'end'
    const key = `${left} ${right} ${arrow}`
    const pair = pairs.get(key) ?? { left, right, edges: [], arrow, label: '', signed: true }
    pair.edges.push(edge)
    pairs.set(key, pair)
  }
  for (const pair of pairs.values()) {
    pair.label = [...new Set(pair.edges.map((e) => predicateWord(e.predicate)))].join(', ')
    pair.signed = pair.edges.every((e) => e.signed)
  }
  gaps.forEach((gap, i) => {
    if (!boxes.has(gap.node)) return
    const id = `gap ${i}`
    boxes.set(id, { ...box(id, `no ${gap.what}`, 'nothing says so'), gap })
    pairs.set(id, { left: gap.node, right: id, edges: [], arrow: 'end', label: '', signed: false })
  })

  const graph = new Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'LR', nodesep: 16, edgesep: 10, ranksep: 22, marginx: 16, marginy: 20 })
  for (const b of boxes.values()) graph.setNode(b.id, { width: b.width, height: b.height })
  for (const [key, p] of pairs) {
    graph.setEdge(p.left, p.right, { width: p.label ? measure(p.label, smallFont) + 14 : 8, height: 16, labelpos: 'c' }, key)
  }
  layout(graph)

  for (const b of boxes.values()) {
    const at = graph.node(b.id)
    b.x = at.x ?? 0
    b.y = at.y ?? 0
  }
  // Of one layer all are equally wide, so that its edges are straight.
  const layers = Map.groupBy(boxes.values(), (b) => Math.round(b.x))
  for (const layer of layers.values()) {
    const width = Math.max(...layer.map((b) => b.width))
    for (const b of layer) b.width = width
  }
  const lines: Line[] = []
  for (const [key, p] of pairs) {
    const e = graph.edge(p.left, p.right, key) as { points: { x: number; y: number }[]; x?: number; y?: number; width: number }
    const left = boxes.get(p.left)!
    const right = boxes.get(p.right)!
    const start = { x: left.x + left.width / 2, y: left.y }
    const end = { x: right.x - right.width / 2, y: right.y }
    const x = e.x ?? (start.x + end.x) / 2
    const y = e.y ?? (start.y + end.y) / 2
    // Below its label a line is level.
    const between = e.points.slice(1, -1).flatMap((q) => (Math.abs(q.x - x) < 1 ? [{ x: x - e.width / 2, y }, { x: x + e.width / 2, y }] : [q]))
    const points = [start, ...between, end]
    lines.push({
      id: key, from: p.arrow === 'end' ? p.left : p.right, to: p.arrow === 'end' ? p.right : p.left,
      edges: p.edges, label: p.label, signed: p.signed, path: curve(points), x, y, width: e.width, arrow: p.arrow,
    })
  }
  const size = graph.graph()
  return { boxes: [...boxes.values()], lines, width: size.width ?? 0, height: size.height ?? 0 }
}

const elbow = 12 // from a box to the corner of lines that go far up or down
const corner = 7

// Through all points, horizontal at each of them. Lines that go far up or down turn at right angles: those of one box
// then share their way, and are not a fan that nobody can follow.
function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points as [{ x: number; y: number }, ...{ x: number; y: number }[]]
  let last = first
  let path = `M${round(last.x)} ${round(last.y)}`
  for (const p of rest) {
    const up = p.y - last.y
    const along = p.x - last.x
    if (Math.abs(up) > 1.6 * along && along > elbow && Math.abs(up) > 2 * corner) {
      const x = round(last.x + Math.min(elbow, along / 2))
      const turn = Math.sign(up) * corner
      path += `H${round(x - corner)}Q${x} ${round(last.y)} ${x} ${round(last.y + turn)}V${round(p.y - turn)}Q${x} ${round(p.y)} ${round(x + corner)} ${round(p.y)}H${round(p.x)}`
    } else {
      const middle = round((last.x + p.x) / 2)
      path += `C${middle} ${round(last.y)} ${middle} ${round(p.y)} ${round(p.x)} ${round(p.y)}`
    }
    last = p
  }
  return path
}
const round = (n: number) => Math.round(n * 10) / 10
