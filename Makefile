# Hawser. `make help` lists what there is; every target does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO      ?= go
TOOLS   := $(CURDIR)/.tools
BIN     := $(CURDIR)/bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/hawser-dev/hawser/shared/telemetry.Version=$(VERSION)
# With gRPC's pages of traces comes html/template, which calls methods by name: no
# linker can leave out any then. An agent without them is 5 MB smaller.
AGENTTAGS := grpcnotrace
GOTOOL  := $(GO) tool -modfile=$(CURDIR)/proto/tools/go.mod
PROTOS  := $(shell cd proto && find hawser -name '*.proto' | sort)
TESTFLAGS ?= -timeout 40m
PKGS    ?= ./...
FUZZTIME ?= 30s

export CGO_ENABLED ?= 0

# The console is built when something of it is newer than what was built last. The
# node is the machine's, or one that its npm fetches; without any the hub is built
# with a page in the console's place.
CONSOLE := hub/console
CONSOLE_SOURCES := $(wildcard $(addprefix $(CONSOLE)/,index.html package.json vite.config.ts tsconfig.json)) \
	$(shell find $(CONSOLE)/src $(CONSOLE)/public ! -name '*.test.*' 2>/dev/null)
CONSOLE_MODULES := $(CONSOLE)/node_modules/.package-lock.json
CONSOLE_BUILT := $(CONSOLE)/dist/app/index.html
WITH_NODE = node=$$($(GO) run ./e2e/testbed/cmd/find-node) && export PATH="$$node:$$PATH" && cd $(CONSOLE)

.PHONY: help demo dev test fuzz verify bench bench-console bench-fleet screenshots image build gen man prepare browser peers clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(CONSOLE_MODULES): $(CONSOLE)/package-lock.json
	@$(GO) run ./e2e/testbed/cmd/find-node > /dev/null || { echo "the console is not built"; exit 0; }; \
	$(WITH_NODE) && npm ci --prefer-offline --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

$(CONSOLE_BUILT): $(CONSOLE_SOURCES) $(CONSOLE_MODULES)
	@test -e $(CONSOLE_MODULES) || exit 0; \
	$(WITH_NODE) && npm run --silent build -- --logLevel warn && touch dist/app/index.html

build: $(CONSOLE_BUILT) ## hawser, hawser-hub with the console, and hawser-agent into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./hub/cmd/hawser-hub ./cli/cmd/hawser
	$(GO) build -trimpath -tags '$(AGENTTAGS)' -ldflags '$(LDFLAGS)' -o $(BIN)/ ./agent/cmd/hawser-agent

# The same commit makes the same images: nothing of the machine is in them, and the
# commit's time is that of all their files.
ARCHS    ?= $(shell $(GO) env GOARCH)
REVISION  = $(shell git rev-parse HEAD 2>/dev/null)
CREATED   = $(or $(SOURCE_DATE_EPOCH),$(shell git show -s --format=%ct HEAD 2>/dev/null),0)
IMAGE     = $(CURDIR)/dist/build-image -version '$(VERSION)' -revision '$(REVISION)' -created '$(CREATED)'

image: $(CONSOLE_BUILT) ## OCI images of hub and agent into dist/, without Docker; ARCHS="amd64 arm64" for both
	@mkdir -p dist
	@$(GO) build -o dist/build-image ./charts/image/cmd/build-image
	@for arch in $(ARCHS); do \
		echo "building for $$arch"; \
		GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o dist/$$arch/ ./hub/cmd/hawser-hub || exit; \
		GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -tags '$(AGENTTAGS)' -ldflags '$(LDFLAGS)' -o dist/$$arch/ ./agent/cmd/hawser-agent || exit; \
	done
	@$(IMAGE) -program hawser-hub -out dist/images/hawser-hub $(ARCHS:%=dist/%/hawser-hub)
	@$(IMAGE) -program hawser-agent -out dist/images/hawser-agent $(ARCHS:%=dist/%/hawser-agent)

# The control planes that demo, tests and benchmarks run against, and a PostgreSQL,
# a Redis and a Chromium where the machine has none. Cached in .tools/.
prepare: browser
	@$(GO) run ./e2e/testbed/cmd/build-controlplane
	@$(GO) run ./e2e/testbed/cmd/fetch-redis

# What a browser over a seeded hub needs.
browser:
	@$(GO) run ./e2e/testbed/cmd/fetch-postgres
	@$(GO) run ./e2e/testbed/cmd/fetch-chromium

# The helm and kustomize that renders are compared with. Cached in .tools/.
peers:
	@$(GO) run ./e2e/peers/cmd/build-peers

demo: build prepare ## three real clusters, a hub, Git, applications; ARGS=--check runs the checks and exits
	@$(GO) build -o $(BIN)/hawser-demo ./e2e/demo
	@exec $(BIN)/hawser-demo -bin $(BIN) $(ARGS)

dev: build $(if $(FLEET),browser,prepare) ## the console with hot reload over the demo; SEED=1: over a seeded hub of 10,000 applications; FLEET=1000: a hub with that many agents in one process
ifdef FLEET
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -fleet $(FLEET) -rate $(or $(RATE),10)
else ifdef SEED
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -seed 10000 -rate 50 -dev
else
	@$(GO) build -o $(BIN)/hawser-demo ./e2e/demo
	@exec $(BIN)/hawser-demo -bin $(BIN) -dev
endif

test: build prepare peers ## all tests: console, unit, simulator, Postgres, end to end on real control planes and in a browser
	@$(GO) build -o $(BIN)/hawser-testrun ./e2e/testrun
	@test ! -e $(CONSOLE_MODULES) || { $(WITH_NODE) && npm test --silent; }
	set -o pipefail; HAWSER_BIN=$(BIN) $(GO) test -json $(TESTFLAGS) $(PKGS) | $(BIN)/hawser-testrun

bench: build prepare peers ## speed and memory against their floors: a table and bench/result.json; ARGS=… narrows
	@mkdir -p bench
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -out bench/result.json $(ARGS)

bench-console: build browser ## speed and memory of the console in Chromium over a seeded hub: a table and bench/console.json
	@mkdir -p bench
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -only console -out bench/console.json

bench-fleet: build ## a hub with 1,000 agents: memory, reports, a commit, its return after SIGKILL: a table and bench/fleet.json; ARGS='-agents 50' narrows
	@mkdir -p bench
	@$(GO) run ./e2e/testbed/cmd/fetch-postgres
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -only fleet -out bench/fleet.json $(ARGS)

screenshots: build browser ## the console's screens in both themes, wide and narrow, over a seeded hub, into screenshots/
	@$(GO) build -o $(BIN)/hawser-bench ./e2e/bench
	@exec $(BIN)/hawser-bench -bin $(BIN) -seed 1000 -rate 10 -screenshots $(CURDIR)/screenshots

fuzz: ## every fuzz target for FUZZTIME (30s); FUZZ=hub/gateway narrows; a crash leaves its input in testdata/fuzz
	@failed=0; found=0; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for f in $$(grep -rlE '^func Fuzz[A-Za-z0-9]*\(' --include='*_test.go' $(if $(FUZZ),$(FUZZ),.) | sort); do \
		dir=./$$(dirname $${f#./}); \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9]*)\(.*/\1/p' $$f); do \
			found=$$((found+1)); echo "$$dir $$target"; \
			$(GO) test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) > "$$log" 2>&1 || { cat "$$log"; failed=$$((failed+1)); }; \
		done; \
	done; \
	echo "fuzz: $$found targets, $$failed failed"; test $$failed = 0 -a $$found -gt 0

gen: ## regenerate proto/gen, the API's document and clients, docs/errors.md, docs/charts.md, docs/cli
	@mkdir -p $(TOOLS)/gen
	@cd proto/tools && $(GO) build -o $(TOOLS)/gen/ ./protogen google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	@$(TOOLS)/gen/protogen -I proto -o proto/gen -plugin $(TOOLS)/gen/protoc-gen-go,$(TOOLS)/gen/protoc-gen-go-grpc $(PROTOS)
	@$(GO) run ./hub/cmd/hawser-apigen
	@$(GO) run ./e2e/codes/cmd/write-errors
	@$(GO) run ./cli/cmd/write-reference docs/cli
	@$(GO) run ./charts/cmd/write-reference charts docs/charts.md

man: build ## the man pages of the command line into bin/man
	@$(BIN)/hawser man $(BIN)/man

verify: $(CONSOLE_MODULES) ## formatting, types of the console, vet, staticcheck, generated code and go.mod up to date
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-ed:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GOTOOL) staticcheck ./...
	@test ! -e $(CONSOLE_MODULES) || { $(WITH_NODE) && npm run --silent lint && npm run --silent types; }
	@$(MAKE) --no-print-directory gen
	@git diff --exit-code -- proto/gen || { echo "proto/gen is not what the .proto files generate: run make gen"; exit 1; }
	@git diff --exit-code -- hub/api/openapi.json cli/client/api hub/console/src/api docs/errors.md docs/charts.md docs/cli || { echo "what is generated from hub/api/routes.go, shared/fault/codes.txt, the charts or the commands is not up to date: run make gen"; exit 1; }
	$(GO) mod tidy -diff
	cd proto/tools && $(GO) mod tidy -diff
	@echo "verify: clean"

clean: ## remove bin/, bench/, screenshots/ and what was built of the console; .tools/ stays, it is expensive
	rm -rf $(BIN) bench screenshots $(CONSOLE)/dist/app
