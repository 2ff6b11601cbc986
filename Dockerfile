# Homefire's image: the server, a Python, and an SQLite that is known to be sound. See docs/hosting.md.
#
#   docker build --tag homefire .

ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG GO_IMAGE=golang:1.26-bookworm

# SQLite before 3.51.3 can corrupt a database in WAL mode when two connections checkpoint at once, and the
# distribution's is older. Its published single-file source comes with a Go module, which Go's own tools
# fetch and hold against this checksum.
FROM ${GO_IMAGE} AS sqlite
ARG SQLITE_MODULE=github.com/mattn/go-sqlite3@v1.14.52
ARG SQLITE_MODULE_SUM=h1:wVbm2Qnf4OXkqhBTSPuCRZDRnxfbVrrmiCEroVdog8U=
WORKDIR /build
RUN go mod init build \
    && go mod download -json "${SQLITE_MODULE}" >module.json \
    && grep -qF "\"Sum\": \"${SQLITE_MODULE_SUM}\"" module.json \
    && cp "$(sed -n 's/.*"Dir": "\(.*\)",/\1/p' module.json)"/sqlite3-binding.[ch] . \
    && gcc -O2 -fPIC -shared -Wl,-soname,libsqlite3.so.0 -o libsqlite3.so.0 \
        -DSQLITE_THREADSAFE=1 -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_DBSTAT_VTAB \
        -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_STAT4 -DSQLITE_DQS=0 \
        sqlite3-binding.c -lm -lpthread -ldl

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/homefire
COPY requirements/constraints.txt requirements/
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY migrations migrations
COPY rules rules
COPY baas baas
RUN python -m pip --python /opt/homefire/bin/python install \
        --no-cache-dir --disable-pip-version-check --constraint requirements/constraints.txt .

FROM ${PYTHON_IMAGE}
COPY --from=sqlite /build/libsqlite3.so.0 /usr/local/lib/
RUN ldconfig \
    && python -c 'import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 51, 3))' \
    && rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
    && useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin homefire \
    && install -d -o homefire -g homefire -m 700 /data
COPY --from=build /opt/homefire /opt/homefire
ENV PATH=/opt/homefire/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOMEFIRE_HOST=0.0.0.0 \
    HOMEFIRE_PORT=8080 \
    HOMEFIRE_DATA=/data
USER homefire
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['HOMEFIRE_PORT'] + '/readyz', timeout=4)"]
ENTRYPOINT ["homefire"]
CMD ["serve"]
