# Two images: `docker build --target operator .` and `docker build --target loader .`
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# --- operator: kopf and its clients in a virtual environment ----------------------------------------------------------
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt ./
# Only wheels, and only those whose hashes are in the lock: nothing is compiled, and nothing else can slip in.
RUN python3 -m venv --copies /opt/changeover \
    && /opt/changeover/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
       --requirement requirements.txt

# The same base as above: the virtual environment refers to that interpreter's standard library.
FROM ${PYTHON_IMAGE} AS operator
COPY --from=packages /opt/changeover /opt/changeover
COPY operator/changeover /opt/operator/changeover
# No byte code is written at run time (the root file system is read-only), so it is written here.
RUN python3 -m compileall -q /opt/operator
# glibc raises its threshold with each large block that is given back, and the next ones leave the heap in fragments,
# which only grows: with a fixed one they are mapped, and go back to the kernel (docs/trust.md).
ENV PATH=/opt/changeover/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    PYTHONPATH=/opt/operator \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/operator
USER 65532:65532
ENTRYPOINT ["python", "-m", "changeover"]

# --- loader: wrk, oha, h2load (of nghttp2-client) and the package that runs and audits them ----------------------------
FROM ${RUST_IMAGE} AS oha
# oha 1.16 does not compile without a TLS back end, so its default features stay.
RUN cargo install oha --version 1.16.0 --locked --root /out

FROM ${DEBIAN_IMAGE} AS loader
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 wrk nghttp2-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=oha /out/bin/oha /usr/local/bin/oha
COPY operator/changeover/__init__.py /opt/loader/changeover/__init__.py
COPY operator/changeover/loader /opt/loader/changeover/loader
RUN python3 -m compileall -q /opt/loader
ENV PYTHONPATH=/opt/loader \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["python3", "-m", "changeover.loader"]
