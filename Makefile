# sse: `make` builds the server, a static binary ./sse; `make help` tells the rest.
#
# CC, CFLAGS, CPPFLAGS and LDFLAGS are yours: what the code cannot do without is added to them.
# Everything made goes to build/KIND/, a directory for each compiler and purpose, so that one never
# links the other's objects; V=1 shows the commands.

ifeq ($(origin CC),default) # make's own; one from the environment or the command line is kept
CC = gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 600
JOBS ?= $(shell nproc)

PARTS = http.c ring.c $(sort $(wildcard lib/*.c lib/serve/*.c lib/host/*.c))
HELPERS = $(filter-out test/check_% test/fuzz_% test/load_%,$(sort $(wildcard test/*.c)))
CHECKS = $(basename $(notdir $(sort $(wildcard test/check_*.c))))
# Those that run against the release binary as well, in the sandbox as it is shipped.
SHIPPED = check_sandbox check_ways check_poll check_socket check_drain check_systemd
LOADS = $(basename $(notdir $(sort $(wildcard test/load_*.c))))
FUZZERS = $(basename $(notdir $(sort $(wildcard test/fuzz_*.c))))

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
       -Wmissing-prototypes -Wvla -Wwrite-strings -Wimplicit-fallthrough
# assert() is part of the program, whatever CFLAGS say.
BASE = -std=c11 -D_GNU_SOURCE -I. -MMD -MP $(WARN) $(CPPFLAGS) $(CFLAGS) -UNDEBUG

# Hardening. glibc warns of _FORTIFY_SOURCE without optimisation; musl has none; yours wins.
optimised = $(filter-out -O0,$(lastword $(filter -O%,$(CFLAGS))))
fortified = $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(findstring musl,$(CC))
x86 = $(filter x86_64% i386% i486% i586% i686%,$(shell $(CC) -dumpmachine 2>/dev/null))
HARDEN := -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections \
          $(if $(x86),-fcf-protection) \
          $(if $(fortified),,$(if $(optimised),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
LINK = -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections $(LDFLAGS)

# The kinds: the release, the tests with sanitizers (musl has none), the fuzz targets (clang only).
compiler = $(subst /,_,$(subst $() ,_,$(strip $(1))))
SAN_CC = $(if $(findstring musl,$(CC)),gcc,$(CC))
FUZZ_CC = clang
OUT = build/$(call compiler,$(CC))
SAN = build/$(call compiler,$(SAN_CC))-asan
FUZZ = build/fuzz
# No call is made by a jump, so that each has a place it returns to.
sanitizers = -g -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-sanitize-recover=all \
             -fsanitize=address,undefined
$(OUT)_CC = $(CC) $(BASE) $(HARDEN)
$(SAN)_CC = $(SAN_CC) $(BASE) $(sanitizers)
$(FUZZ)_CC = $(FUZZ_CC) $(BASE) $(sanitizers),fuzzer-no-link

Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)
# Without a jobserver from above, one of our own.
parallel = $(MAKE) --no-print-directory -O $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all run install uninstall test soak lint fuzz regress clean help FORCE
.PHONY: for-test for-fuzz # what `test` and `fuzz` compile once test/setup has run

all: sse

# The binary of the compiler that was asked for last; one that runs is replaced, not written to.
sse: $(OUT)/sse build/last
	$(Q)install -m 755 $< $@
build/last: FORCE
	@mkdir -p build; echo $(OUT) | cmp -s - $@ || echo $(OUT) >$@

$(OUT)/sse: $(OUT)/sse.o $(PARTS:%.c=$(OUT)/%.o) $(OUT)/static
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(filter %.o,$^) $$(cat $(OUT)/static) $(LINK)

$(SAN)/sse: $(SAN)/sse.o $(PARTS:%.c=$(SAN)/%.o)
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS)

# One that lays its tables out in another way, which no running server may turn into.
$(SAN)/sse-other: $(SAN)/sse.o $(patsubst %/handover.o,%/handover-other.o,$(PARTS:%.c=$(SAN)/%.o))
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS)
$(SAN)/lib/host/handover-other.o: lib/host/handover.c $(SAN)/flags
	@mkdir -p $(@D)
	$(call say,cc,$@)$($(SAN)_CC) -DHANDOVER_VERSION=99 -c -o $@ $<

# One whose system calls can be made to fail: those that test/faults.c has a __wrap_ for.
$(SAN)/sse-faults: $(SAN)/sse.o $(PARTS:%.c=$(SAN)/%.o) $(SAN)/test/faults.o
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) \
	 $$(nm $(SAN)/test/faults.o | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

# Static PIE where the toolchain makes one that runs; a plain static binary elsewhere.
$(OUT)/static: $(OUT)/flags
	@printf 'static int x; int *volatile p = &x; int main(void) { return *p; }' >$@.c
	@if $(CC) $(CFLAGS) -fPIE -o $@.out $@.c -static-pie $(LINK) 2>/dev/null && $@.out && \
	    ! readelf -l $@.out | grep -q INTERP; \
	 then echo -static-pie >$@; else echo -static >$@; fi; rm -f $@.c $@.out

# $(eval $(call kind,DIRECTORY)): its objects, remade when its flags change, and a library of them
# for the test programs, from which each links only what it needs.
define kind
$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc,$$@)$$($(1)_CC) -c -o $$@ $$<
$(1)/flags: FORCE
	@mkdir -p $$(@D); echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' | cmp -s - $$@ || \
	 echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' >$$@
$(1)/parts.a: $(PARTS:%.c=$(1)/%.o) $(HELPERS:%.c=$(1)/%.o)
	$$(Q)rm -f $$@; ar rcs $$@ $$^
endef
$(foreach k,$(OUT) $(SAN) $(FUZZ),$(eval $(call kind,$(k))))
.PRECIOUS: %.o

$(SAN)/test/check_%: $(SAN)/test/check_%.o $(SAN)/parts.a
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) $$(pkg-config --libs check)

$(OUT)/test/load_%: $(OUT)/test/load_%.o $(OUT)/parts.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ -pie $(LINK)

$(FUZZ)/%: $(FUZZ)/test/%.o $(FUZZ)/parts.a
	$(call say,link,$@)$(FUZZ_CC) $(sanitizers),fuzzer -o $@ $^

run: sse ## builds and starts the server: make run ARGS="--port 9000"
	./sse $(ARGS)

install: sse ## into $(DESTDIR)$(PREFIX)/bin, PREFIX being /usr/local
	install -D -m 755 sse $(DESTDIR)$(PREFIX)/bin/sse

uninstall: ## takes it away again
	rm -f $(DESTDIR)$(PREFIX)/bin/sse

test: ## installs what is missing (as root), then runs every test
	@test/setup test
	@mkdir -p build
	@$(parallel) V=$(V) for-test for-fuzz >build/test.log 2>&1 || { cat build/test.log; exit 1; }
	@test/fuzz 0 $(FUZZERS:%=$(FUZZ)/%) | SSE_BIN=$(SAN)/sse \
	 test/run $(CHECKS:%=$(SAN)/test/%) $(SHIPPED:%='SSE_BIN=$(OUT)/sse $(SAN)/test/%') - -- $(LOADS:%='$(OUT)/test/% $(OUT)/sse')

soak: $(OUT)/test/load_soak sse ## churn of everything for SOAK_SECONDS, 600
	$(OUT)/test/load_soak $(OUT)/sse $(SOAK_SECONDS)

lint: ## warnings as errors, clang-tidy, cppcheck, format, scripts, layers, README
	@test/setup lint
	@test/lint

fuzz: ## each fuzz target for FUZZ_SECONDS, 30
	@test/setup test
	@$(parallel) for-fuzz
	@test/fuzz $(FUZZ_SECONDS) $(FUZZERS:%=$(FUZZ)/%) | \
	 JOBS=$(JOBS) TEST_SECONDS=$$(($(FUZZ_SECONDS) + 120)) test/run -

regress: ## replays the fuzz targets' corpus and what they once failed on
	@test/setup test
	@$(parallel) for-fuzz
	@test/fuzz 0 $(FUZZERS:%=$(FUZZ)/%) | test/run -

for-test: sse $(LOADS:%=$(OUT)/test/%) $(SAN)/sse $(SAN)/sse-other $(SAN)/sse-faults $(CHECKS:%=$(SAN)/test/%)
for-fuzz: $(FUZZERS:%=$(FUZZ)/%)

clean: ## removes all that was made
	rm -rf build sse

help: ## this
	@echo 'make            builds ./sse; CC=clang, CC=musl-gcc, CFLAGS="-O3" are heard'
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/make \1#\2/p' Makefile | \
	 while IFS='#' read -r a b; do printf '%-15s %s\n' "$$a" "$$b"; done

-include $(wildcard build/*/*.d build/*/lib/*.d build/*/lib/serve/*.d build/*/lib/host/*.d build/*/test/*.d)
