# Stands in for the official Go image: the machine's own Go is mounted at /usr/local/go while an image is built.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
ENV PATH=/usr/local/go/bin:$PATH GOPATH=/go GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
