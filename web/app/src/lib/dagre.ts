// The layout library, in a file of its own: it is fetched with the first picture.

export { Graph, layout } from '@dagrejs/dagre'
