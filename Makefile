# The rest is a subcommand or a test. `go test ./...` needs nothing of this.
VERSION ?= $(shell git describe --tags --always --dirty)

.PHONY: build test lint bench fuzz image
build:
	CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

test:
	AWS_EC2_METADATA_DISABLED=true go test ./...

lint:
	golangci-lint fmt --diff ./...
	golangci-lint run ./...

bench:
	AWS_EC2_METADATA_DISABLED=true go test -run '^$$' -bench . -benchmem ./...

fuzz:
	.ci/run fuzz

image:
	.ci/image
