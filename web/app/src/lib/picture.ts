// The picture as a file: what CSS says of it is written into it, so that it looks the same elsewhere.

import { save } from './files'

const properties = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'stroke-linejoin', 'font-family', 'font-size', 'font-weight', 'opacity', 'text-anchor']

const initial: Record<string, string> = {
  stroke: 'none', 'stroke-width': '1px', 'stroke-dasharray': 'none', 'stroke-linecap': 'butt', 'stroke-linejoin': 'miter', opacity: '1', 'text-anchor': 'start',
}

export function asSVG(svg: SVGSVGElement, width: number, height: number): string {
  const copy = svg.cloneNode(true) as SVGSVGElement
  const originals = svg.querySelectorAll<SVGElement>('*')
  copy.querySelectorAll<SVGElement>('*').forEach((element, i) => {
    const style = getComputedStyle(originals[i]!)
    const drawn = ['path', 'rect', 'text'].includes(element.tagName)
    for (const name of drawn ? properties : ['opacity']) {
      const value = style.getPropertyValue(name)
      const written = element.tagName === 'text' ? !name.startsWith('stroke') : !/^(font|text)-/.test(name)
      if (value && written && initial[name] !== value) element.setAttribute(name, value)
    }
    if (element.tagName === 'text') {
      // Elsewhere the letters may be others, and wider: they keep to the room they have here.
      element.setAttribute('textLength', (originals[i] as SVGTextElement).getComputedTextLength().toFixed(1))
      element.setAttribute('lengthAdjust', 'spacingAndGlyphs')
    }
    for (const name of ['class', 'role', 'tabindex', 'aria-label', 'aria-pressed', 'data-box']) element.removeAttribute(name)
  })
  copy.querySelectorAll('[stroke="rgba(0, 0, 0, 0)"]').forEach((e) => e.remove())
  copy.querySelector('g[transform]')?.removeAttribute('transform')
  for (const name of ['class', 'role', 'aria-label', 'style']) copy.removeAttribute(name)
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.setAttribute('width', String(Math.ceil(width)))
  copy.setAttribute('height', String(Math.ceil(height)))
  copy.setAttribute('viewBox', `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`)
  const ground = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
  ground.setAttribute('width', '100%')
  ground.setAttribute('height', '100%')
  ground.setAttribute('fill', getComputedStyle(svg.parentElement!).backgroundColor)
  copy.prepend(ground)
  return new XMLSerializer().serializeToString(copy)
}

/** Draws an SVG at twice its size, or as large as browsers can. */
export async function savePNG(name: string, svg: string, width: number, height: number) {
  const most = 8192 // pixels a side that every browser can draw
  const scale = Math.min(2, most / Math.max(width, height))
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }))
  try {
    const image = new Image()
    image.src = url
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = Math.ceil(width * scale)
    canvas.height = Math.ceil(height * scale)
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height)
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'))
    if (blob) save(name, blob)
  } finally {
    URL.revokeObjectURL(url)
  }
}
