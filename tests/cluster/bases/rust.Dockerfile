# Stands in for the official Rust image: the machine's own Rust is mounted at /usr/local/rust while an image is built,
# and so are the folders of downloads and of compiled crates, which makes every build after the first one quick.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc g++ libc6-dev make cmake pkg-config \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
ENV PATH=/usr/local/rust/bin:$PATH CARGO_HOME=/var/cargo CARGO_TARGET_DIR=/var/cargo-target
