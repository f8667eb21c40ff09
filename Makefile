# Every target, with what it does:  make help
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

GO := go
TOOL := $(GO) tool -modfile=tools/go.mod
PROGRAMS := order-srv inventory-srv orderctl

# One way of building for all targets but the race detector's, so that the build cache
# serves all of them, in whichever folder the checkout is.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath $(GOFLAGS)

# Flags for go test: make test TESTFLAGS='-run TestPlace -v'
TESTFLAGS :=

# The race detector would report the RocketMQ client library itself: these are the
# packages whose tests do not link it. That of the tree's rules has nothing to race.
RACE_PACKAGES = $(GO) list -test -f '{{.ImportPath}} {{.Deps}}' ./... | \
	grep '\.test ' | grep -v -e rocketmq-client-go -e '^orderflow/internal/archtest' | sed 's/\.test .*//'

# SQLite is C that was translated into Go, with locks of its own: watching its every
# access takes most of the time and finds nothing about this project.
RACE_FLAGS = -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

# The packages whose tests know a real broker or database, and those of their tests
# that "make test" has run on neither. They wait for locks, timers and disks most of the
# time: more run at once than there are processors. Those of test/e2e have the machine for
# themselves. The last in the alphabet begin first: test/java takes longest.
REAL_PACKAGES = $(GO) list -f "{{.ImportPath}} {{.TestImports}} {{.XTestImports}}" ./... | \
	grep -E "realbroker|databasetest" | sed "s/ .*//" | sort -r
NOT_REAL = ^TestDevbroker$$|/^(sqlite|embedded|programs)$$|//^(sqlite|embedded|programs)$$

# MariaDB and RocketMQ on this machine, without Docker. Their ports come from the
# environment (STACK_NAMESRV_PORT, STACK_BROKER_PORT, STACK_MYSQL_PORT), and all
# they write is in .stack/ (STACK_DIR): a second stack needs other ones of each.
STACK = bash deploy/stack/stack.sh

# Also in a shell that knows a stack, these tests need nothing.
NO_STACK = env -u ORDERFLOW_TEST_MYSQL -u ORDERFLOW_TEST_NAMESRV

# Runs a command on the stack, and stops what it had to start for it.
ON_STACK = $(STACK) run

.PHONY: help generate generate-check lint build test test-race test-real conformance demo demo-real bench bench-audit clean \
	compose-check reproducible alerts-check alerts-drill overview \
	stack-up stack-down stack-reset stack-status stack-env

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

generate: ## write all generated files: protobuf, wiring, tables of the README, docs/state-machine.md, docs/metrics.md, dashboards
	$(TOOL) buf generate
	$(TOOL) wire ./cmd/...
	$(GO) run ./internal/configdoc README.md
	$(GO) run ./internal/statedoc docs/state-machine.md
	$(GO) run ./internal/metricdoc docs/metrics.md
	$(GO) run ./internal/dashboards deploy/observability/dashboards

GENERATED := 'api/proto/*.pb.go' 'cmd/*wire_gen.go' README.md docs/state-machine.md docs/metrics.md \
	deploy/observability/dashboards

generate-check: generate ## fail if a generated file is not up to date
	@git diff --exit-code -- $(GENERATED) || { echo 'run "make generate" and commit the result'; exit 1; }

lint: ## check format, go vet, staticcheck and the protos
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt: $$files"; exit 1; }
	$(GO) vet ./... && $(TOOL) staticcheck ./...
	$(TOOL) buf lint

build: ## build the programs into bin/
	$(GO) build -o bin/ $(addprefix ./cmd/,$(PROGRAMS))

test: ## run all tests that need nothing but Go
	@$(NO_STACK) $(GO) test $(TESTFLAGS) ./...
	@echo 'not run: what needs MariaDB or RocketMQ; see make test-real' >&2

test-race: ## run them with the race detector (needs a C compiler)
	@$(NO_STACK) CGO_ENABLED=1 $(GO) test -race $(RACE_FLAGS) $(TESTFLAGS) $$($(RACE_PACKAGES))

test-real: ## run all tests that know a real broker or a real database on them (see stack-up)
	@$(ON_STACK) bash -c 'real=$$($(REAL_PACKAGES)); test="$(GO) test -count=1 -timeout 15m $(TESTFLAGS)"; \
		$$test -p 3 -parallel 8 -skip "$(NOT_REAL)" $$(grep -v /test/e2e <<<"$$real") && both=0 || both=1; \
		$$test -skip "$(NOT_REAL)" $$(grep /test/e2e <<<"$$real") && exit $$both'

conformance: ## compare devbroker with Apache RocketMQ 5.3.3, case by case
	@$(ON_STACK) $(GO) test -count=1 -json -run '^(TestDevbroker|TestApacheRocketMQ)$$' ./internal/mq/mqtest | \
		$(GO) run ./internal/mq/mqtest/conformance

demo: ## tell the story of an order, with everything in one process
	@$(GO) build -o bin/ ./cmd/orderctl
	@bin/orderctl demo

demo-real: build ## tell it with the real programs on a real broker and database
	@$(ON_STACK) bin/orderctl demo real

alerts-check: ## check the alert rules and run their unit tests (needs promtool, of Debian's package prometheus)
	promtool check rules deploy/observability/alerts.yml
	promtool check config --syntax-only deploy/observability/prometheus.yml
	cd deploy/observability && promtool test rules alerts_test.yml

alerts-drill: build ## make each alert fire for real and mend it, in 15 minutes (needs prometheus and sqlite3)
	@bash deploy/observability/drill/drill.sh

overview: build ## draw docs/images/overview.png anew, of some of the drill's scenes, in 5 minutes (needs the same)
	@$(GO) build -o bin/ ./internal/dashboards
	@DRILL_PICTURE=$(CURDIR)/docs/images/overview.png bash deploy/observability/drill/drill.sh healthy small consumers_suspended

bench: ## measure orders against the raw floor, and devbroker against RocketMQ
	@$(ON_STACK) $(GO) test -run '^$$' -bench 'PlaceOrder' -timeout 30m $(TESTFLAGS) ./test/bench/...
	@$(ON_STACK) $(GO) test -run '^$$' -bench 'Broker' -benchtime 20000x -timeout 30m $(TESTFLAGS) ./test/bench/...
	@$(GO) test -run '^$$' -bench 'FirstMessage' $(TESTFLAGS) ./test/bench/...
	@$(GO) test -run '^$$' -bench . $(TESTFLAGS) ./internal/mq/devbroker/

bench-audit: ## measure orderctl audit on 1,000,000 orders in MariaDB (ORDERFLOW_BENCH_ORDERS)
	@$(ON_STACK) $(GO) test -run '^$$' -bench '^BenchmarkAudit$$' -benchtime 1x -timeout 60m $(TESTFLAGS) ./test/bench/

clean: ## remove bin/; the stack's data goes with stack-reset
	rm -rf bin

compose-check: build ## run the compose file, kill parts of it, and see that all is well (needs Docker)
	@bash deploy/compose/check.sh

reproducible: ## build the last commit twice and compare the bytes; and once for arm64
	@bash deploy/reproducible.sh

stack-up: ## start MariaDB and RocketMQ on this machine, installing what is missing
	@$(STACK) up

stack-down: ## stop them; the data stays
	@$(STACK) down

stack-reset: ## stop them and delete their data; the downloaded jars stay
	@$(STACK) reset

stack-status: ## show what runs, with pids and ports
	@$(STACK) status

stack-env: ## print the export lines that point tests and programs at the stack
	@$(STACK) env
