# The chat page, which needs Vite and React only while it is built.
FROM node:24-slim AS page
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY client client
RUN npm run build --workspace client

# What a node runs with, and nothing else.
FROM node:24-slim AS modules
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --workspaces=false --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
RUN install -d -o 1000 -g 1000 /data
WORKDIR /app
COPY --from=modules /app/node_modules node_modules
COPY --from=page /app/client/dist client/dist
COPY package.json ./
COPY server server
COPY kafka kafka
# Makes the first admin.
COPY scripts/admin.ts scripts/launch.ts scripts/
USER 1000:1000
# The embedded log and database: with Kafka and PostgreSQL nothing is kept here, and the root may be read-only either way.
VOLUME /data
EXPOSE 8080 61613
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "const tls = process.env.TLS_CERT; require(tls ? 'https' : 'http').get({ port: process.env.PORT || 8080, path: '/health/live', rejectUnauthorized: false }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=8", "server/main.ts"]
