# make demo: build the commands and show what a client downloads for an update.
# make test-deps test: install the container clients and run every test.

export CGO_ENABLED = 0
GO          = go
GOTESTFLAGS =
# Everything is built with -trimpath, including what the tests, linters and tools build with the go
# command. So each package is compiled once, and the build cache works in any directory.
export GOFLAGS := $(filter-out -trimpath,$(shell $(GO) env GOFLAGS)) -trimpath
# Tests in parallel: one more than there are cores, because they also wait for disks and daemons.
PARALLEL    = $$(($$(nproc) + 1))
PREFIX      = /usr/local
BIN         = bin
FUZZTIME    = 10s
# make test fuzzes these packages: the stream and images. Other packages take a long time to build.
FUZZED      = ./format ./lib/image ./lib/layer ./lib/oci ./lib/pack ./lib/plan ./lib/repo/pkgdb ./lib/verify
# With cgo, the storage library needs the headers of btrfs, for a driver that the tests do not use.
CGOTAGS     = exclude_graphdriver_btrfs
# The packages that use goroutines.
RACED       = $$(grep -lE --include='*.go' --exclude='*_test.go' -r '^[[:space:]]*go |errgroup|sync/atomic|sync\.(Mutex|WaitGroup)' lib format | xargs -n 1 dirname | sort -u | sed 's,^,./,')
BENCHDIR    = /var/tmp/chunkah-bench
BENCHFLAGS  =

# Downloaded and built on demand. Fixed versions give the same results every day.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.8.0
VULNFLAGS     =

# The version of the commands comes from the checkout. Before the first tag, it is a pre-release of
# the version in the file VERSION. Without git, it is that version.
VERSION := $(shell git describe --tags --dirty 2>/dev/null || \
	echo "v$$(cat VERSION)$$(git describe --always --dirty 2>/dev/null | sed 's/^/-pre./')")
LDFLAGS  = -s -w -X chunkah/lib/cli.Version=$(VERSION)

# With STRICT=1, a test that would be skipped fails. Use it as root, after test-deps.
STRICT =

# The architectures of packages, and the program that makes packages. Newer versions of nfpm have
# dependencies that the module proxy does not have.
ARCHES = amd64 arm64
NFPM   = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# One program has five names. The stages have their own mains only for go install ./cmd/...
STAGES = chunkah-scan chunkah-assign chunkah-pack chunkah-write

.DEFAULT_GOAL = build
.PHONY: build image demo test check static e2e race fuzz vectors cover bench bench-update microbench lint vuln fmt vet tidy-check test-deps manual install dist clean

build: ## build the commands, one static program with five names, in bin/
	$(GO) build -ldflags '$(LDFLAGS)' -o '$(BIN)/' ./cmd/chunkah
	@for stage in $(STAGES); do ln -sf chunkah "$(BIN)/$$stage"; done

image: build ## make the container image localhost/chunkah:latest, in bin/ and in the storage of podman and buildah
	scripts/image bin/chunkah.ociarchive
	buildah pull --quiet oci-archive:bin/chunkah.ociarchive

demo: build ## make two sample roots, the second with one rebuilt package, and show what a client downloads
	@$(GO) run ./scripts/demo "$$($(GO) list -m -f '{{.Dir}}' github.com/knqyf263/go-rpmdb)/pkg/testdata/fedora35/rpmdb.sqlite" demo openssl-libs
	@echo && echo 'Layers by build step: one for all packages, and one for the application on top.'
	$(BIN)/chunkah build -q --rootfs demo/root --map scripts/demo/steps.json -o oci:demo/steps:1
	$(BIN)/chunkah build -q --rootfs demo/updated --map scripts/demo/steps.json -o oci:demo/steps:2
	$(BIN)/chunkah reuse oci:demo/steps:1 oci:demo/steps:2
	@echo && echo 'Layers by content:'
	$(BIN)/chunkah build -q --rootfs demo/root -o oci:demo/image:1
	$(BIN)/chunkah build -q --rootfs demo/updated --previous oci:demo/image:1 -o oci:demo/image:2
	$(BIN)/chunkah reuse oci:demo/image:1 oci:demo/image:2

test-deps: ## install the container clients that the tests run (on Debian, as root)
	scripts/test-deps

test: ## run all tests, and a thousand inputs for some fuzz targets; lists missing clients
	@scripts/test-deps --missing
	$(GO) vet ./... # all analyzers; go test has only some of them, and would run them again
	CHUNKAH_TEST_STRICT=$(STRICT) $(GO) test -vet=off $(GOTESTFLAGS) -parallel $(PARALLEL) -count=1 -timeout 60m ./...
	FUZZTIME=1000x FUZZCODE=chunkah/... scripts/fuzz $(FUZZED)

check: static ## run gofmt, vet and the unit tests
	$(GO) test -vet=off -short ./...

static: ## run gofmt and vet
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'these files are not formatted: run make fmt'; exit 1; }
	$(GO) vet ./...

e2e: ## run only the tests with real roots and real clients
	@scripts/test-deps --missing
	CHUNKAH_TEST_STRICT=$(STRICT) $(GO) test $(GOTESTFLAGS) -parallel $(PARALLEL) -count=1 -timeout 60m ./tests/...

race: ## run the unit tests of packages with goroutines (or RACED=./...) with the race detector, which needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -vet=off -short -timeout 30m -tags $(CGOTAGS) $(RACED)

fuzz: ## run every fuzz target for FUZZTIME, for example make fuzz FUZZTIME=2m
	FUZZTIME=$(FUZZTIME) scripts/fuzz

vectors: ## run only the stream's test vectors
	$(GO) test -count=1 -run Vector ./format/...

cover: ## write the coverage of the unit tests to cover.out
	$(GO) test -short -coverprofile cover.out ./format/... ./lib/...
	$(GO) tool cover -func cover.out | tail -n 1

bench: build ## measure the table of docs/performance.md; its roots are made and kept in BENCHDIR
	$(GO) build -o bin/ ./scripts/floor ./scripts/inflate ./scripts/bench
	bin/bench -bin bin -dir '$(BENCHDIR)' $(BENCHFLAGS)

bench-update: build ## measure what a client downloads for a real Debian update (as root; roots as for bench)
	$(GO) build -o bin/ ./scripts/bench-update
	bin/bench-update -bin bin -dir '$(BENCHDIR)' $(BENCHFLAGS)

microbench: ## run the Go benchmarks of single functions
	$(GO) test -run '^$$' -bench . -benchmem ./format/... ./lib/...

lint: ## run the linters of .golangci.yml
	$(GO) run $(GOLANGCI_LINT) run

vuln: ## look for known vulnerabilities in called functions, at vuln.go.dev or with VULNFLAGS=-db=file:///...
	$(GO) run $(GOVULNCHECK) $(VULNFLAGS) ./...

fmt:
	gofmt -w .

vet:
	$(GO) vet ./...

tidy-check: ## check that go mod tidy would change nothing
	$(GO) mod tidy -diff

manual: ## write manual pages and shell completions to share/
	rm -rf share
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(GO) run ./scripts/manual share '$(VERSION)'

install: build manual ## install into PREFIX
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 0755 '$(BIN)/chunkah' '$(DESTDIR)$(PREFIX)/bin/'
	for stage in $(STAGES); do ln -sf chunkah "$(DESTDIR)$(PREFIX)/bin/$$stage"; done
	to=$$(cd '$(DESTDIR)$(PREFIX)' && pwd) && cd share && find . -type f -exec install -D -m 0644 '{}' "$$to/share/{}" ';'

dist: ## make tarballs, deb, rpm and apk packages for ARCHES, with SBOMs and checksums, in dist/
	VERSION='$(VERSION)' GO='$(GO)' NFPM='$(NFPM)' scripts/dist dist $(ARCHES)

clean:
	rm -rf bin dist share demo cover.out
