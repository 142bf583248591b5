# `make` alone lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash

VERSION ?= $(shell git describe --always --dirty --tags 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# TRIMPATH is emptied by the tests, so that they compile each package once.
TRIMPATH ?= -trimpath
GO_BUILD := CGO_ENABLED=0 go build $(TRIMPATH) -ldflags '$(LDFLAGS)'

.PHONY: help build build-arm run check test lint generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the programs into bin/
	@mkdir -p bin
	$(GO_BUILD) -o bin/ ./cmd/...

build-arm: ## build the edge for arm64 and armv7 boxes into bin/linux-*/
	GOOS=linux GOARCH=arm64 $(GO_BUILD) -o bin/linux-arm64/estate-edge ./cmd/estate-edge
	GOOS=linux GOARCH=arm GOARM=7 $(GO_BUILD) -o bin/linux-armv7/estate-edge ./cmd/estate-edge

run: ## start the demo; ARGS go to it, as in make run ARGS=--story
	@scripts/preflight.sh
	@scripts/api-docs.sh
	@$(MAKE) --no-print-directory build
	@exec bin/estate demo $(ARGS)

check: ## the two-minute inner loop: format, vet, architecture, short tests
	@scripts/check.sh

test: ## everything that CI runs
	@scripts/test.sh

lint: ## run the linters
	@scripts/golangci-lint.sh run ./...

generate: ## write the generated files anew
	go generate ./...

clean: ## remove what was built
	rm -rf bin node_modules
