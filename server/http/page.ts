import { access } from 'node:fs/promises'
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
 * `/access` tells the page by which door people come in.
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
      if ((request.params as { '*': string })['*'] !== '' || (await exists(index))) return
      return reply.code(503).header('cache-control', 'no-store').type('text/plain; charset=utf-8').send(notBuilt)
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

const exists = async (file: string): Promise<boolean> => {
  try {
    await access(file)
    return true
  } catch {
    return false
  }
}
