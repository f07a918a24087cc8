# etcdsec: how to build it, see it work, test it and measure it.
#
# Needed: Go 1.26 or newer and GNU make; for the tests also a C compiler, because Go's
# race detector is linked with it, and openssl, which checks what we issue. .ci/run
# installs what is missing on Debian and then runs the checks.
#
# `make` alone lists the targets. These variables can be given after any of them:
#
#   make demo ARGS="--keep"         flags of etcdsec-demo
#   make test PACKAGES=./pki/...    only some packages
#   make fuzz FUZZTIME=5m           how long each fuzz target runs
#   make test-e2e E2E=manifests     only the suites below a folder
#   make build VERSION=v1.2.3       the version that the binary reports

GO       ?= go
PACKAGES ?= ./...
FUZZTIME ?= 20s
E2E      ?= .
ARGS     ?=
VERSION  ?= $(shell git describe --always --dirty --tags 2>/dev/null || echo devel)

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

# The recipes say what they do in their own words, so make itself stays silent; and its
# "Nothing to be done" would come after the summary of the tests.
MAKEFLAGS += --silent

# Every step keeps all cores busy by itself. Under -j two steps would only mix their output.
.NOTPARALLEL:

.PHONY: help build demo test check lint bench bench-once lab clock fuzz test-e2e clean
.PHONY: gofmt vet staticcheck c-compiler etcd-servers run-benchmarks

help: ## List the targets
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---- Building and seeing it work ----------------------------------------------------

# One file that runs on any Linux of its architecture: no cgo, no paths of the machine
# that built it, no symbol table. The version is from git, and the build needs no more of it.
build: ## Compile the static binary bin/etcdsec
	echo 'compiling bin/etcdsec (a minute or two on a fresh machine)' >&2
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/etcdsec ./cmd/etcdsec

# The demo builds its etcd server from the module that test/ pins, once, into the user's
# cache folder. It listens on loopback only and writes below demo/.
demo: build ## Bootstrap three real etcd members, audit them, and audit a weak one beside them
	echo 'compiling the demo; it then builds the etcd server, once (up to a minute)' >&2
	$(GO) run ./cmd/etcdsec-demo $(ARGS)

# ---- Checking -----------------------------------------------------------------------

# The race detector looks at everything but the innermost arithmetic of keys and hashes: these packages
# of others work on the memory of one caller, and under it P-384 and Ed25519 take ten times as long. The
# tests build the binary that they run with the same flags (cmd/etcdsec/tests/clitest).
ARITHMETIC := math/big golang.org/x/crypto/scrypt $(addprefix crypto/internal/fips140/,bigmod edwards25519 edwards25519/field nistec nistec/fiat)
RACE       := -race $(ARITHMETIC:%=-gcflags=%=-race=false)

# The etcd servers are built beforehand, so that the time this takes is seen and does not
# count against the deadline of a test. Many tests wait for a member or a deadline most of their
# time, so more packages are tested at once than there are cores.
test: c-compiler etcd-servers ## Run all tests with the race detector, in random order
	echo 'go test -race -shuffle=on' >&2
	CGO_ENABLED=1 ETCDSEC_TEST_BUILD_FLAGS='$(RACE)' \
	  $(GO) test $(RACE) -shuffle=on -p $$(($$(nproc) + 2)) -timeout 30m $(PACKAGES)

# The tests come last, so `make check test` runs them once and ends with their summary.
check: gofmt vet staticcheck test ## Run gofmt, go vet, staticcheck and the tests: what CI runs

# golangci-lint is compiled from source, pinned in tools/: minutes the first time, seconds
# later. It is no part of check for that reason. Its configuration is .golangci.yml.
lint: ## Run golangci-lint
	echo 'golangci-lint (the first time it is compiled, which takes several minutes)' >&2
	$(GO) tool -modfile=tools/golangci-lint/go.mod golangci-lint run $(PACKAGES)

gofmt:
	unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
	  printf 'not formatted by gofmt:\n%s\nhint: gofmt -w .\n' "$$unformatted" >&2; exit 1; \
	fi

vet:
	echo 'go vet' >&2
	$(GO) vet $(PACKAGES)

# A tool's modules are listed in a file of its own below tools/ and never touch go.mod.
staticcheck:
	echo 'staticcheck (the first time it is compiled)' >&2
	$(GO) tool -modfile=tools/staticcheck/go.mod staticcheck $(PACKAGES)

# On a bare Debian, as root, what is missing is installed; elsewhere it is named.
c-compiler:
	have_compiler() { echo '#include <stdlib.h>' | $$($(GO) env CC) -x c -fsyntax-only - 2>/dev/null; }; \
	if have_compiler; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'installing gcc and libc6-dev for the race detector' >&2; \
	  apt-get update -q >&2 </dev/null; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev >&2 </dev/null; \
	fi; \
	if ! have_compiler; then \
	  echo 'make: the race detector needs a C compiler and the C library headers' >&2; \
	  echo 'hint: apt-get install gcc libc6-dev' >&2; exit 1; \
	fi

etcd-servers:
	$(GO) run ./internal/oracle/prebuild

# ---- Going further ------------------------------------------------------------------

# The test files of PACKAGES, one per line.
list_test_files = $(GO) list -f '{{$$d := .Dir}}{{range .TestGoFiles}}{{$$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$d}}/{{.}}{{"\n"}}{{end}}' $(PACKAGES)

bench: ## Run every benchmark
	$(MAKE) run-benchmarks BENCHFLAGS=-benchmem

# One iteration of each, on smaller stores, says nothing about speed; it shows that each
# benchmark still works.
bench-once: ## Run every benchmark once, as CI does
	echo 'every benchmark, once' >&2
	ETCDSEC_CENSUS_KEYS=10000 $(MAKE) run-benchmarks BENCHFLAGS='-benchtime 1x'

run-benchmarks: etcd-servers
	dirs=$$($(list_test_files) | { xargs -r grep -lE '^func Benchmark' || true; } | xargs -r dirname | sort -u); \
	if [ -z "$$dirs" ]; then echo 'make: there is no benchmark in $(PACKAGES)' >&2; exit 1; fi; \
	$(GO) test -run '^$$' -bench . $(BENCHFLAGS) -timeout 30m $$dirs

# Every release of etcd that is built here, and the distribution's 3.4 where it is installed.
# In its own folder go test shows what a test prints that passes.
lab: etcd-servers ## Audit hundreds of configurations of real etcd five times, and print precision and recall
	echo 'the laboratory (a few minutes)' >&2
	cd audit/collect && $(GO) test -count=1 -run '^TestLaboratory$$' -timeout 30m -args -lab.whole -lab.repeats=5

# What make test and make test-e2e look at on the days on which something can change.
clock: ## Renew every kind of store on each day of three years, and look at each run
	echo 'three years of daily renewals (some fifteen minutes)' >&2
	cd pki && $(GO) test -count=1 -tags e2e -run '^TestThreeYearsOfEveryStore$$' -timeout 60m -args -clock.every-run

# go can fuzz one target at a time, so the targets are asked for first.
fuzz: ## Run every fuzz target for FUZZTIME (20s) each
	targets=$$($(GO) test -list '^Fuzz' $(PACKAGES) | \
	  awk '/^Fuzz/ { names[++n] = $$1 } $$1 == "ok" { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }'); \
	if [ -z "$$targets" ]; then echo 'make: there is no fuzz target in $(PACKAGES)' >&2; exit 1; fi; \
	while read -r package target; do \
	  echo "$$target in $$package for $(FUZZTIME)" >&2; \
	  $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done <<<"$$targets"

# Suites that need more than loopback and a cache folder have the build tag e2e, in our own
# module or in a test module below test/; each runs in its folder, and so in its module.
test-e2e: etcd-servers ## Run the suites behind the build tag e2e, below E2E (everywhere)
	files=$$(grep -rlE '^//go:build .*\be2e\b' --include='*_test.go' $(E2E) || true); \
	if [ -z "$$files" ]; then echo 'there is no test with the build tag e2e'; exit 0; fi; \
	for dir in $$(dirname $$files | sort -u); do \
	  names=$$(grep -lE '^//go:build .*\be2e\b' "$$dir"/*_test.go | xargs grep -hoE '^func Test\w+' | sed 's/^func //' | paste -sd'|'); \
	  echo "go test -tags e2e in $$dir" >&2; \
	  (cd "$$dir" && $(GO) test -tags e2e -count=1 -timeout 30m -run "^($$names)$$" .); \
	done

# The demo marks the folder it made; a folder demo/ without the mark is somebody else's.
clean: ## Remove what build and demo wrote; the caches stay
	rm -rf bin
	if [ -e demo/.etcdsec-demo ]; then rm -rf demo; fi
