# A node of a cluster: plain JavaScript on Node, as the npm package has it, under a user of its own.
#
#   docker build --tag starling .
#   docker run --rm starling --version
#
# What it runs is compose.yaml for three nodes on one machine, docs/kubernetes.md for more.

# The package, of this repository. Install scripts are for tests and other hosts: none is run.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm pack --pack-destination /tmp

# The package and the few that it uses; what only "starling dev" needs stays out.
FROM node:24-alpine AS install
WORKDIR /app
COPY --from=build /tmp/starling-cache-*.tgz /tmp/
RUN npm install --omit=dev --omit=peer --omit=optional --ignore-scripts --no-audit --no-fund \
    /tmp/starling-cache-*.tgz

FROM node:24-alpine
RUN addgroup -S -g 10001 starling \
  && adduser -S -D -H -u 10001 -G starling starling \
  && install -d -o starling -g starling -m 700 /data
COPY --from=install /app /app
USER 10001:10001
VOLUME /data
EXPOSE 7100
ENTRYPOINT ["node", "/app/node_modules/starling-cache/bin/starling.js"]
CMD ["--help"]
