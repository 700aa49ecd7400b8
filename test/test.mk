# The tests: included by the Makefile at the root. A program is named by its place: unit/hash, e2e/poll.

FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 600

programs = $(patsubst test/%.c,%,$(sort $(wildcard $(1:%=test/%/*.c))))
CHECKS = $(call programs,unit loop e2e)
LOADS = $(call programs,load)
FUZZERS = $(call programs,fuzz)
# Those that run against the release binary as well, in the sandbox as it is shipped.
SHIPPED = $(addprefix e2e/,sandbox ways poll socket drain systemd)
# Those that run against several workers as well. Not so the others: they look into one process, count
# what is each worker's own, or have an order that two connections do not have.
SHARED = $(addprefix e2e/,conflate forward poll ready resume socket socket_json sse ways)
# Those with a case "memory": the release's memory is measured, as sanitizers need some of their own.
MEASURED = $(addprefix e2e/,poll_wait slow socket_many)

.PHONY: test check test-pack test-npm soak lint fuzz regress
.PHONY: for-test for-fuzz # what `test` and `fuzz` compile once test/setup has run

# One that lays its tables out in another way, which no running server may turn into.
$(SAN)/sse-other: $(SAN)/sse.o $(patsubst %/handover.o,%/handover-other.o,$(PARTS:%.c=$(SAN)/%.o))
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS)
$(OUT)/sse-other: $(OUT)/sse.o $(patsubst %/handover.o,%/handover-other.o,$(PARTS:%.c=$(OUT)/%.o)) $(OUT)/static
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(filter %.o,$^) $$(cat $(OUT)/static) $(LINK)
$(SAN)/lib/host/handover-other.o $(OUT)/lib/host/handover-other.o: %/lib/host/handover-other.o: lib/host/handover.c %/flags
	@mkdir -p $(@D)
	$(call say,cc,$@)$($*_CC) -DHANDOVER_VERSION=99 -c -o $@ $<

# One whose system calls can be made to fail: those that test/kit/faults.c has a __wrap_ for.
$(SAN)/sse-faults: $(SAN)/sse.o $(PARTS:%.c=$(SAN)/%.o) $(SAN)/test/kit/faults.o
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) \
	 $$(nm $(SAN)/test/kit/faults.o | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

$(addprefix $(SAN)/test/,$(call programs,unit loop e2e)): %: %.o $(SAN)/parts.a
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) $$(pkg-config --libs check)

$(addprefix $(OUT)/test/,$(call programs,load)): %: %.o $(OUT)/parts.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ -pie $(LINK)

$(addprefix $(FUZZ)/test/,$(call programs,fuzz)): %: %.o $(FUZZ)/parts.a
	$(call say,link,$@)$(FUZZ_CC) $(sanitizers),fuzzer -o $@ $^

# A fuzz target without a fuzzer, for a machine that there is none for.
$(addprefix $(OUT)/test/,$(call programs,fuzz)): %: %.o $(OUT)/test/kit/replay.o $(OUT)/parts.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ $$(cat $(OUT)/static) $(LINK)

check: test
test: ## installs what is missing (as root), then runs every test
	$(writable)@test/setup test
	@mkdir -p build
	+@$(parallel) V=$(V) for-test for-fuzz >build/test.log 2>&1 || { cat build/test.log; exit 1; }
	@test/fuzz/run 0 $(FUZZERS:%=$(FUZZ)/test/%) | SSE_BIN=$(SAN)/sse \
	 test/run test/readme test/recipe $(CHECKS:%=$(SAN)/test/%) $(SHIPPED:%='SSE_BIN=$(OUT)/sse $(SAN)/test/%') \
	 $(patsubst %,'SSE_BIN=$(SAN)/sse SSE_WORKERS=3 $(SAN)/test/%',$(filter $(CHECKS),$(SHARED))) \
	 $(patsubst %,'SSE_BIN=$(OUT)/sse CK_RUN_CASE=memory $(SAN)/test/%',$(filter $(CHECKS),$(MEASURED))) - -- $(LOADS:%='$(OUT)/test/% $(OUT)/sse')

test-pack: ## packages, images, another machine: installs what is missing (as root), tries them
	@test/setup pack
	@test/pack

test-npm: sse ## clients and gateways of the npm registry: installs what is missing (as root)
	@test/setup npm
	@test/npm/run

soak: $(OUT)/test/load/soak sse ## churn of everything for SOAK_SECONDS, 600
	$(OUT)/test/load/soak $(OUT)/sse $(SOAK_SECONDS)

lint: ## warnings as errors, clang-tidy, cppcheck, format, scripts, layers, README
	$(writable)@test/setup lint
	@test/lint

fuzz: ## each fuzz target for FUZZ_SECONDS, 30
	$(writable)@test/setup test
	+@$(parallel) for-fuzz
	@test/fuzz/run $(FUZZ_SECONDS) $(FUZZERS:%=$(FUZZ)/test/%) | \
	 JOBS=$(JOBS) TEST_SECONDS=$$(($(FUZZ_SECONDS) + 5400)) test/run -

regress: ## replays the fuzz targets' corpus and what they once failed on
	$(writable)@test/setup test
	+@$(parallel) for-fuzz
	@test/fuzz/run 0 $(FUZZERS:%=$(FUZZ)/test/%) | test/run -

for-test: sse $(LOADS:%=$(OUT)/test/%) $(SAN)/sse $(SAN)/sse-other $(SAN)/sse-faults $(CHECKS:%=$(SAN)/test/%)
for-fuzz: $(FUZZERS:%=$(FUZZ)/test/%)
