# syntax=docker/dockerfile:1
#
# The three programs, each in an image of its own:
#
#   docker build --target order-srv .       (inventory-srv, orderctl)
#
# Another platform is cross-compiled: --platform linux/arm64. The commit comes from .git,
# if that is in the context; no build argument is needed.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# As in the Makefile, so that the same commit gives the same bytes here and there.
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
# Without a commit (a source archive, a linked worktree) the version says so.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    if ! git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then export GOFLAGS="$GOFLAGS -buildvcs=false"; fi; \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /out/ ./cmd/order-srv ./cmd/inventory-srv ./cmd/orderctl

# No shell, no package manager; nonroot, and a number, by which Kubernetes can check that.
FROM gcr.io/distroless/static-debian12:nonroot AS base
USER 65532:65532

# A container's loopback is its own, so the APIs listen on all of its interfaces. The
# admin port stays on loopback until it is asked for.
FROM base AS order-srv
COPY --from=build /out/order-srv /order-srv
ENV ORDER_LISTEN=:7001
EXPOSE 7001
HEALTHCHECK --interval=3s --timeout=4s --start-period=30s CMD ["/order-srv", "health"]
ENTRYPOINT ["/order-srv"]
CMD ["serve"]

FROM base AS inventory-srv
COPY --from=build /out/inventory-srv /inventory-srv
ENV INVENTORY_LISTEN=:7002
EXPOSE 7002
HEALTHCHECK --interval=3s --timeout=4s --start-period=30s CMD ["/inventory-srv", "health"]
ENTRYPOINT ["/inventory-srv"]
CMD ["serve"]

# The last one is what "docker build ." makes: the tool, with the notifier and "dev",
# everything in one process.
FROM base AS orderctl
COPY --from=build /out/orderctl /orderctl
ENTRYPOINT ["/orderctl"]
CMD ["--help"]
