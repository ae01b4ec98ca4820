// Which page is shown, and of what. A page's address is its name and a query: /graph?subject=sha256:…&depth=2, so a
// link can be sent to somebody. The server answers every address that nothing else has with the page itself.

class Route {
  path = $state(location.pathname)
  params = $state(new URLSearchParams(location.search))

  get(name: string): string {
    return this.params.get(name) ?? ''
  }
}

export const route = new Route()

function read() {
  route.path = location.pathname
  route.params = new URLSearchParams(location.search)
}

addEventListener('popstate', read)

export function href(path: string, params: Record<string, string | undefined> = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, value)
  // Digests, purls and addresses stay legible: none of these characters ends a query.
  const text = query.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%40', '@')
  return text ? `${path}?${text}` : path
}

export function go(to: string, how: 'push' | 'replace' = 'push') {
  const same = to === location.pathname + location.search
  if (how === 'replace') history.replaceState(null, '', to)
  else if (!same) history.pushState(null, '', to)
  const moved = location.pathname !== route.path
  read()
  if (moved && how === 'push') scrollTo(0, 0)
}

/** Changes some parameters of the page that is shown, and leaves the others. "" takes one away. */
export function amend(changes: Record<string, string>, how: 'push' | 'replace' = 'replace') {
  const params = Object.fromEntries(route.params)
  go(href(route.path, { ...params, ...changes }), how)
}

/** Links within the page change it without loading it anew. */
export function follow(event: MouseEvent) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = (event.target as Element).closest?.('a[href]') as HTMLAnchorElement | null
  if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
  if (link.pathname.startsWith('/api/')) return
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return
  event.preventDefault()
  go(link.pathname + link.search)
}

const pages: Record<string, string> = { artifact: '/artifact', package: '/package', vuln: '/vuln', document: '/document' }

/** Where a subject is shown. */
export function subjectHref(kind: string, key: string, id = ''): string {
  if (kind === 'document') return href('/document', { digest: key })
  if (kind === 'resource' && key.startsWith('oci://')) return href('/artifact', { subject: key.slice('oci://'.length) })
  return href(pages[kind] ?? '/subject', { subject: pages[kind] ? key : id || key })
}
