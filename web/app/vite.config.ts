import { svelte } from '@sveltejs/vite-plugin-svelte'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { defineConfig, type Plugin } from 'vite'

// Beside dist, the digest of what it was made from: a test without Node sees whether the sources have changed since.
function sources(): Plugin {
  const root = import.meta.dirname
  let out = ''
  return {
    name: 'sources',
    configResolved(config) {
      out = resolve(root, config.build.outDir)
    },
    closeBundle() {
      if (out !== resolve(root, '../dist')) return
      const files = ['src', 'public'].flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1).replaceAll('\\', '/')),
      )
      files.push('index.html', 'package-lock.json', 'vite.config.ts', 'svelte.config.js')
      const sum = createHash('sha256')
      for (const name of files.sort()) sum.update(name + '\0').update(createHash('sha256').update(readFileSync(join(root, name))).digest())
      writeFileSync(resolve(root, '../dist.sha256'), sum.digest('hex') + '\n')
    },
  }
}

// The page goes to ../dist, which is committed and embedded: who builds the program needs no Node.
export default defineConfig({
  plugins: [svelte(), sources()],
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // Nothing is inlined: the page's policy allows scripts and styles from files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    // `npx vite` shows the page as it is being written, over the data of a `seaworthy up`.
    proxy: { '/api': process.env.SEAWORTHY ?? 'http://127.0.0.1:3000' },
  },
})
