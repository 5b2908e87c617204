# The worker and the command line: docker run … up | sync | status | report | doctor | schedules apply | lab
# Debian, because the Temporal SDK's native part needs glibc.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The Node that the lock brings along is for machines without one; this image has its own.
RUN npm ci --omit=dev && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim
ENV NODE_ENV=production
# Folders that volumes are mounted on take over this owner.
RUN groupadd --system --gid 10001 defender-sync \
 && useradd --system --uid 10001 --gid defender-sync --home-dir /var/lib/defender-sync --create-home defender-sync \
 && mkdir /lab && chown defender-sync:defender-sync /lab
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY src src
COPY workflows workflows
COPY activities activities
COPY lab lab
COPY examples examples
# Packs the workflows once, so that a worker need not at every start.
RUN node -e "import('/app/src/temporal/workflow-bundle.ts').then(({ workflowBundle }) => workflowBundle())"
USER defender-sync
ENTRYPOINT ["node", "/app/src/cli/main.ts", "--config", "/etc/defender-sync/defender-sync.yaml"]
CMD ["up"]
