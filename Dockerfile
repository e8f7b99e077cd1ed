# SPDX-License-Identifier: Apache-2.0
# Millrace on Debian 12; the packages come from packages.txt.  compose.yaml starts it with a broker.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
# The slow and seldom changing parts first: Debian packages, then npm's.
COPY packages.txt ./
COPY scripts scripts
RUN bash scripts/install.sh build run
COPY web/app/package.json web/app/package-lock.json web/app/
RUN bash scripts/build_web.sh --packages-only
COPY . .
RUN ./run --build-only --no-install

FROM ${BASE}
COPY packages.txt /tmp/install/
COPY scripts/install.sh scripts/common.sh /tmp/install/scripts/
RUN bash /tmp/install/scripts/install.sh run \
 && rm -rf /tmp/install /var/lib/apt/lists/* \
 && useradd --user-group --no-create-home --uid 8080 --home-dir /data --shell /usr/sbin/nologin millrace \
 && install -d -o millrace -g millrace /data
COPY --from=build /src/build/release/cli/millrace /usr/local/bin/millrace
COPY scripts/container.sh /usr/local/bin/millrace-container
COPY mosquitto.conf scripts/demo_site.toml LICENSE /etc/millrace/
# A library that packages.txt forgets under [run] shows here and not at the user's.
RUN millrace version

ENV MILLRACE_HUB_DATA_DIR=/data \
    MILLRACE_HTTP_LISTEN=0.0.0.0:8080 \
    MILLRACE_MQTT_URL=mqtt://mosquitto:1883
USER millrace
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/health/ready"]
CMD ["sh", "/usr/local/bin/millrace-container"]
