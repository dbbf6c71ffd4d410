# The agent in an image that holds nothing but the program and the certificates
# of the public authorities: no shell, no user database, no package manager. It
# runs as 65532 and needs a writable /data, nothing else.
#
#   docker build -t tallystick --build-arg VERSION=v0.1.0 .
#   docker run --read-only -v tallystick:/data -p 127.0.0.1:8480:8480 tallystick
#
# To build from a base that cannot change under you, name it by digest:
#   --build-arg BUILD_IMAGE=docker.io/library/golang:1.26.8-bookworm@sha256:<digest>
# `docker buildx imagetools inspect docker.io/library/golang:1.26.8-bookworm`
# prints the digest.
ARG BUILD_IMAGE=docker.io/library/golang:1.26.8-bookworm

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
ARG VERSION=devel
# CGO_ENABLED=0 links statically; -trimpath makes the same source give the same
# program wherever it is built; grpcnotrace leaves out a page of gRPC's that makes
# the program twice as large (docs/dependencies.md).
RUN CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags "-s -w -X main.version=${VERSION}" -o /out/tallystick ./cmd/tallystick \
 && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/tallystick /tallystick
COPY LICENSE /LICENSE
USER 65532:65532
VOLUME /data
WORKDIR /data
EXPOSE 8480
ENTRYPOINT ["/tallystick"]
CMD ["run", "--config", "/data/tallystick.yaml"]
