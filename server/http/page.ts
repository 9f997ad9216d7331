import { readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'

const notBuilt = `The chat page has not been built on this machine, so there is nothing to see here yet.
Build it with: npm run build --workspace client
The node itself is running: STOMP clients connect to /ws.
`

export interface PageOptions {
  readonly root: string
  readonly access: Config['ACCESS']
}

/**
 * Serves the built page in the folder `root` (an absolute path) at `/`. What the build names by its content is kept by
 * browsers for a year, everything else is asked for again each time. Where the page is not built, `/` says how to do it.
 * Who goes anywhere else with a browser gets the page too, as a 404, which says so. `/access` tells the page by which door people come in.
 */
export const pageRoutes = (app: FastifyInstance, { root, access: door }: PageOptions): void => {
  const assets = join(root, 'assets') + sep
  const index = join(root, 'index.html')

  app.get('/access', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return { access: door }
  })
  void app.register(async page => {
    page.addHook('preHandler', async (request, reply) => {
      const { '*': path } = request.params as { '*': string }
      const wanted = path === '' || isAddress(path, request.headers.accept)
      if (!wanted) return
      const built = await readFile(index).catch(() => undefined)
      if (!built) {
        return reply.code(503).header('cache-control', 'no-store').type('text/plain; charset=utf-8').send(notBuilt)
      }
      if (path !== '') {
        return reply.code(404).header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(built)
      }
    })
    await page.register(fastifyStatic, {
      root,
      dotfiles: 'ignore',
      cacheControl: false,
      preCompressed: true,
      suppressWarning: true,
      setHeaders: (reply, path) => {
        reply.header('cache-control', path.startsWith(assets) ? 'public, max-age=31536000, immutable' : 'no-cache')
      },
    })
  })
}

/** Whether somebody went there with a browser, rather than a program for a file: all files have a dot in their name. */
const isAddress = (path: string, accept = ''): boolean => !path.includes('.') && accept.includes('text/html')
