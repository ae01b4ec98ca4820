# make            lists what there is
# make test       is what a change must pass

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
DATE    := $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
BIN     := bin/seaworthy
LINT    := .cache/lint
GOFILES := find . -name '*.go' -not -path '*/testdata/*' -not -path './.cache/*'
FUZZTIME ?= 5s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the program, in bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/seaworthy

.PHONY: test
test: needs ## everything a change must pass: vet, lint, all tests
	go vet ./...
	@lint=well; $(MAKE) --no-print-directory lint || lint=badly; \
	echo "go test ./..."; go test -json ./... | go run ./tools/testreport && \
	if [ $$lint = badly ]; then echo "the tests pass, but lint does not (see above)"; exit 1; fi

.PHONY: needs
needs: web/app/node_modules/.installed # programs of other projects that some tests compare with
	@tools/needs.sh xmllint:libxml2-utils chromium:chromium initdb:postgresql

# The linters are a module of their own, so that what they need is not what the program needs.
.PHONY: lint
lint: $(LINT)/staticcheck $(LINT)/gofumpt ## gofumpt and staticcheck
	@unformatted=$$($(GOFILES) | xargs $(LINT)/gofumpt -l) && \
	if [ -n "$$unformatted" ]; then echo "not as gofumpt writes it (make fmt does):"; echo "$$unformatted"; exit 1; fi
	$(LINT)/staticcheck ./...

.PHONY: fmt
fmt: $(LINT)/gofumpt ## format all Go files
	$(GOFILES) | xargs $(LINT)/gofumpt -l -w

$(LINT)/staticcheck: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -o ../../$@ honnef.co/go/tools/cmd/staticcheck

$(LINT)/gofumpt: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -o ../../$@ mvdan.cc/gofumpt

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (5s)
	FUZZTIME=$(FUZZTIME) tools/fuzz.sh

.PHONY: bench
bench: build ## measure, and write the figures into PERFORMANCE.md
	go build -o .cache/bench/ ./bench/limit ./bench/registry
	go build -o .cache/bench/corpus-maker ./bench/corpus
	@# Pages of a file that was just written are mapped in larger pieces than those of one that was read: let it be read.
	@sync; dd of=$(BIN) oflag=nocache conv=notrunc,fdatasync count=0 status=none || true
	go run ./bench -write PERFORMANCE.md

# The real images are made by a script that is kept beside the project; it needs root, debootstrap and npm.
IMAGES_SCRIPT ?= ../shared/tools/images/make.sh
export SEAWORTHY_IMAGES ?= $(CURDIR)/.cache/images

.PHONY: images
images: ## six real images in .cache/images, for test-images and bench (root, 5 minutes)
	@test -e $(IMAGES_SCRIPT) || { echo "there is no $(IMAGES_SCRIPT): name the script that makes the images with IMAGES_SCRIPT=…"; exit 1; }
	test -e $(SEAWORTHY_IMAGES)/debian-steps.tar || OUT=$(SEAWORTHY_IMAGES) bash $(IMAGES_SCRIPT)

.PHONY: test-images
test-images: images ## inspect and sbom against dpkg-query, pip list and walks on the real images (2 minutes)
	go test -count=1 -tags images -v ./interop/images

.PHONY: kube-tools
kube-tools: ## kube-apiserver, kubectl and etcd for test-kube, from their Go modules (once, 8 minutes)
	@tools/kube.sh

.PHONY: test-kube
test-kube: build kube-tools $(LINT)/staticcheck ## the gate in a real API server, driven by kubectl
	go vet -tags kube ./interop/kube
	$(LINT)/staticcheck -tags kube ./interop/kube
	@where=$$(tools/kube.sh -where); if [ ! -x $$where/kubectl ]; then echo "*** NOT TESTED: the gate in a real API server"; exit 0; fi; \
	SEAWORTHY_KUBE=$$where SEAWORTHY_BIN=$(CURDIR)/$(BIN) go test -count=1 -tags kube -json ./interop/kube | go run ./tools/testreport

.PHONY: interop
interop: build ## real peers, unmodified, against the program; each that is absent is named
	@for script in interop/*.sh; do echo "== $$script"; bash $$script $(BIN) || exit 1; done

.PHONY: soak
soak: ## 200 rounds of killing servers under load (an hour)
	SOAK=200 go test -count=1 -timeout 3h -run 'Kill' -v ./serve/oci ./engine/ledger ./store/storetest ./cmd/seaworthy

.PHONY: web
web: web/app/node_modules/.installed ## the page, from web/app into web/dist (Node 20); who builds the program does not need it
	cd web/app && npx svelte-check --tsconfig ./tsconfig.json --fail-on-warnings && npx vite build

# What the page is made with. Where there is no npm, the tests say what they could not check.
web/app/node_modules/.installed: web/app/package-lock.json
	@if command -v npm >/dev/null; then cd web/app && npm ci --no-audit --no-fund && touch node_modules/.installed; \
	else echo "npm is not here: that web/dist is what web/app makes is not checked"; fi

.PHONY: demo
demo: build ## what it does, on itself
	$(BIN) demo --dir demo

.PHONY: docs
docs: ## the reference in docs/, from the program's own help
	rm -rf docs/reference docs/man
	go run ./cmd/seaworthy docs docs

.PHONY: clean
clean: ## remove everything that make makes
	rm -rf bin demo .cache
