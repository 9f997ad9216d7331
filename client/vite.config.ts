import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Where the server of `make dev` listens. */
const server = `127.0.0.1:${process.env['PORT'] || 8080}`

export default defineConfig({
  plugins: [react()],
  build: {
    // The page's content security policy allows neither inline scripts nor data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/ws': { target: `ws://${server}`, ws: true, changeOrigin: true, rewriteWsOrigin: true },
      '^/(access$|api/)': { target: `http://${server}`, headers: { origin: `http://${server}` }, changeOrigin: true },
    },
  },
})
