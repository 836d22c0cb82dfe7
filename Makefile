# make demo: build the commands and show what a client downloads for an update.
# make test-deps test: install the container clients and run every test.

export CGO_ENABLED = 0
GO          = go
GOTESTFLAGS =
# The tests build the commands by it. Where they are built by it too, all is compiled
# once, and not again in another folder.
TRIM        = -trimpath
PREFIX      = /usr/local
BIN         = bin
FUZZTIME    = 10s
# What make test fuzzes: the stream and images. The others take long to build for it.
FUZZED      = ./format ./lib/image ./lib/layer ./lib/oci ./lib/pack ./lib/plan ./lib/repo/pkgdb ./lib/verify
# With cgo, the storage library wants the headers of btrfs for a driver that nobody needs here.
CGOTAGS     = exclude_graphdriver_btrfs
# The packages with goroutines.
RACED       = $$(grep -lE --include='*.go' --exclude='*_test.go' -r '^[[:space:]]*go |errgroup|sync/atomic|sync\.(Mutex|WaitGroup)' lib format | xargs -n 1 dirname | sort -u | sed 's,^,./,')
BENCHDIR    = /var/tmp/chunkah-bench
BENCHFLAGS  =

# Fetched and built when asked for; a version that is fixed finds the same tomorrow.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.8.0
VULNFLAGS     =

# The commands' version: that of the checkout. Before the first tag it is one before the
# version in VERSION; without git it is that version.
VERSION := $(shell git describe --tags --dirty 2>/dev/null || \
	echo "v$$(cat VERSION)$$(git describe --always --dirty 2>/dev/null | sed 's/^/-pre./')")
LDFLAGS  = -s -w -X chunkah/lib/cli.Version=$(VERSION)

# With STRICT=1 a test that skips itself fails: after test-deps, as root.
STRICT =

# What packages are made for, and with. It is the newest nfpm whose dependencies the
# module proxy has.
ARCHES = amd64 arm64
NFPM   = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# One program with five names. The mains of the stages are for go install ./cmd/...
STAGES = chunkah-scan chunkah-assign chunkah-pack chunkah-write

.DEFAULT_GOAL = build
.PHONY: build image demo test check e2e race fuzz vectors cover bench bench-update microbench lint vuln fmt vet tidy-check test-deps manual install dist clean

build: ## the commands, one static program with five names, in bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o '$(BIN)/' ./cmd/chunkah
	@for stage in $(STAGES); do ln -sf chunkah "$(BIN)/$$stage"; done

image: build ## the container image, localhost/chunkah:latest, in bin/ and in the storage of podman and buildah
	scripts/image bin/chunkah.ociarchive
	buildah pull --quiet oci-archive:bin/chunkah.ociarchive

demo: build ## two sample roots, with one package rebuilt in between, and what a client downloads for it
	@$(GO) run $(TRIM) ./scripts/demo "$$($(GO) list -m -f '{{.Dir}}' github.com/knqyf263/go-rpmdb)/pkg/testdata/fedora35/rpmdb.sqlite" demo openssl-libs
	@echo && echo 'Layers by step: one for all packages, and on top of it one for the application.'
	$(BIN)/chunkah build -q --rootfs demo/root --map scripts/demo/steps.json -o oci:demo/steps:1
	$(BIN)/chunkah build -q --rootfs demo/updated --map scripts/demo/steps.json -o oci:demo/steps:2
	$(BIN)/chunkah reuse oci:demo/steps:1 oci:demo/steps:2
	@echo && echo 'Layers by content:'
	$(BIN)/chunkah build -q --rootfs demo/root -o oci:demo/image:1
	$(BIN)/chunkah build -q --rootfs demo/updated --previous oci:demo/image:1 -o oci:demo/image:2
	$(BIN)/chunkah reuse oci:demo/image:1 oci:demo/image:2

test-deps: ## Debian, as root: the container clients that the tests run
	scripts/test-deps

test: ## everything, and a thousand inputs for some fuzz targets; names the clients that are missing
	@scripts/test-deps --missing
	CHUNKAH_TEST_STRICT=$(STRICT) $(GO) test $(TRIM) $(GOTESTFLAGS) -count=1 -timeout 60m ./...
	FUZZTIME=1000x scripts/fuzz $(FUZZED)

check: ## the quick inner loop
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'these files want gofmt: make fmt'; exit 1; }
	$(GO) vet $(TRIM) ./...
	$(GO) test $(TRIM) -vet=off -short ./...

e2e: ## the tests with real roots and real clients alone
	@scripts/test-deps --missing
	CHUNKAH_TEST_STRICT=$(STRICT) $(GO) test $(TRIM) $(GOTESTFLAGS) -count=1 -timeout 60m ./tests/...

race: ## the unit tests of packages with goroutines (or RACED=./...) with the race detector, which needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m -tags $(CGOTAGS) $(RACED)

fuzz: ## every fuzz target, FUZZTIME each: make fuzz FUZZTIME=2m
	FUZZTIME=$(FUZZTIME) scripts/fuzz

vectors: ## the stream's test vectors alone
	$(GO) test -count=1 -run Vector ./format/...

cover: ## coverage of the unit tests, in cover.out
	$(GO) test -short -coverprofile cover.out ./format/... ./lib/...
	$(GO) tool cover -func cover.out | tail -n 1

bench: build ## the table of docs/performance.md; its roots are made in BENCHDIR and stay there
	$(GO) build -trimpath -o bin/ ./scripts/floor ./scripts/inflate ./scripts/bench
	bin/bench -bin bin -dir '$(BENCHDIR)' $(BENCHFLAGS)

bench-update: build ## what a client downloads at a true Debian update; root, roots as for bench
	$(GO) build -trimpath -o bin/ ./scripts/bench-update
	bin/bench-update -bin bin -dir '$(BENCHDIR)' $(BENCHFLAGS)

microbench: ## the Go benchmarks of single functions
	$(GO) test -run '^$$' -bench . -benchmem ./format/... ./lib/...

lint: ## .golangci.yml says what for
	$(GO) run $(GOLANGCI_LINT) run

vuln: ## known vulnerabilities in what the commands call; asks vuln.go.dev, or VULNFLAGS=-db=file:///...
	$(GO) run $(GOVULNCHECK) $(VULNFLAGS) ./...

fmt:
	gofmt -w .

vet:
	$(GO) vet ./...

tidy-check: ## go.mod and go.sum are what go mod tidy makes
	$(GO) mod tidy -diff

manual: ## manual pages and completions of shells, in share/
	rm -rf share
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(GO) run -trimpath ./scripts/manual share '$(VERSION)'

install: build manual ## into PREFIX
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 0755 '$(BIN)/chunkah' '$(DESTDIR)$(PREFIX)/bin/'
	for stage in $(STAGES); do ln -sf chunkah "$(DESTDIR)$(PREFIX)/bin/$$stage"; done
	to=$$(cd '$(DESTDIR)$(PREFIX)' && pwd) && cd share && find . -type f -exec install -D -m 0644 '{}' "$$to/share/{}" ';'

dist: ## tarballs, deb, rpm and apk packages for ARCHES, with SBOMs and checksums, in dist/
	VERSION='$(VERSION)' GO='$(GO)' NFPM='$(NFPM)' scripts/dist dist $(ARCHES)

clean:
	rm -rf bin dist share demo cover.out
